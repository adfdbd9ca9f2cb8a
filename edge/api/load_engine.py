"""Load an engine, ready to run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge.api.checked import checked
from edge.api.options import EngineLike, PathLike, ThreadsOption

if TYPE_CHECKING:
    from edge.api.engine import LoadedEngine


@checked
def load_engine(
    engine: EngineLike, threads: ThreadsOption = None, trusted_key: Sequence[PathLike] = ()
) -> "LoadedEngine":
    """Load an engine, ready to run; close it, or use it as a context manager.

    Args:
        engine: engine folder, run folder (its chosen engine), or either in memory.
        threads: CPU threads; one a physical core where none are given.
        trusted_key: public keys; with one here or in ``~/.config/segedge/trusted_keys`` no other engine is taken.

    Raises:
        InputError: no engine there, a damaged one, one that no trusted key has signed, or a run that chose none.
        MachineError: this machine cannot run it.
    """
    from edge.api.engine import LoadedEngine
    from edge.api.given import trusted_engine
    from edge.backends import find_backend
    from edge.backends.engine import read_engine

    folder, vouched = trusted_engine("engine", engine, trusted_key)
    opened = read_engine(folder)
    return LoadedEngine(opened, find_backend(opened.backend).load(opened, threads), vouched)
