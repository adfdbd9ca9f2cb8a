"""Devices: a table each, and what is read from it."""

from edge import make_callable

make_callable(__name__)
