"""The half that also runs on the device: check the machine, build, prove, time, choose.

Standard library and numpy only (a compiler's own Python module apart), Python 3.8 syntax, nothing else of ``edge``:
this folder is copied into every bundle as ``edge_bundle`` and started with ``python3 -m edge_bundle``.
"""
