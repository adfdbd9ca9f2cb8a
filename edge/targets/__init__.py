"""Devices: a table each, and what is read from it."""

from edge.api.package import make_callable

make_callable(__name__)
