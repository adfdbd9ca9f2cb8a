"""The interpreter's garbage collector, kept out of where it costs much and frees nothing.

PyTorch and its exporter leave 400 000 objects behind that live as long as the process. Each full collection walks all
of them (0.4 s), again and again while a graph is exported, and before each run that is timed.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected while the body runs; inside another such block, until that one ends."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def settled() -> Iterator[None]:
    """What is alive when the body begins is not looked at by any collection until it ends.

    Where something is frozen already (by a server that will fork, by another such block), all is left as it is: one
    call unfreezes everything.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
