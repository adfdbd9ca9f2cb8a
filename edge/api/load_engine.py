"""Load an engine, ready to run."""

from typing import TYPE_CHECKING

from edge.api.options import EngineLike

if TYPE_CHECKING:
    from edge.api.engine import LoadedEngine


def load_engine(engine: EngineLike, threads: int | None = None) -> "LoadedEngine":
    """Load an engine, ready to run; close it, or use it as a context manager.

    Args:
        engine: engine folder, run folder (its chosen engine), or either in memory.
        threads: CPU threads; one a physical core where none are given.

    Raises:
        InputError: no engine there, a damaged one, or a run that chose none.
        MachineError: this machine cannot run it.
    """
    from edge.api.engine import LoadedEngine
    from edge.api.given import engine_folder
    from edge.backends import find_backend
    from edge.backends.engine import read_engine

    opened = read_engine(engine_folder("engine", engine))
    return LoadedEngine(opened, find_backend(opened.backend).load(opened, threads))
