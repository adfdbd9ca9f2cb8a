"""Bundles: one archive with everything a device needs to build, prove and time its own engine, offline."""

from edge import make_callable

make_callable(__name__)
