"""Bundles: one archive with everything a device needs to build, prove and time its own engine, offline."""
