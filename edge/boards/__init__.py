"""Boards: machines that engines are built, run and timed on, reached over SSH."""
