"""What only a board does: check the machine, build, prove, time, choose, with the files that travel there.

``edge/bundle/portable.py`` names them; a bundle carries them as ``edge_bundle``, started with
``python3 -m edge_bundle``. This file is also that package's first.
"""

import sys

if sys.version_info < (3, 8):  # noqa: UP036 - JetPack 4 has 3.6, which cannot even parse the modules beside this one
    sys.stderr.write(
        "error: Python {}.{} is too old; 3.8 or newer is needed (JetPack 5 on)\n".format(*sys.version_info)
    )
    sys.exit(3)
