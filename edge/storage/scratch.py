"""A folder for what is needed for a moment only: gone afterwards, and after a kill gone at the next start.

It lies in the system's folder for temporary files, under a name of the user's own, held as long as its process lives.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Iterator

from .swap import draft


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield an empty folder that nobody else may look into; whatever killed processes left of theirs is swept first.

    Raises:
        OSError: no folder can be made there.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    place = Path(tempfile.gettempdir()) / f"segedge-scratch-{user}"
    with draft(place, lambda fresh: os.mkdir(str(fresh), 0o700)) as folder:
        yield folder
