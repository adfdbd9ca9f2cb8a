"""Boards: machines that engines are built, run and timed on, reached over SSH."""

from edge import make_callable

make_callable(__name__)
