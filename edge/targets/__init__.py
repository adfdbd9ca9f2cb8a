"""Devices: a table each, and what is read from it."""
