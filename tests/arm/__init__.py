"""The half of the project that goes to a board, run by an emulated aarch64: ``make arm``."""
