"""The half that also runs on the device: check the machine, build, prove, time, choose.

Standard library and numpy only (a compiler's own Python module apart), Python 3.8 syntax, nothing else of ``edge``:
this folder is copied into every bundle as ``edge_bundle`` and started with ``python3 -m edge_bundle``.
"""

import sys

if sys.version_info < (3, 8):  # noqa: UP036 - JetPack 4 has 3.6, which cannot even parse the modules beside this one
    sys.stderr.write(
        "error: Python {}.{} is too old; 3.8 or newer is needed (JetPack 5 on)\n".format(*sys.version_info)
    )
    sys.exit(3)
