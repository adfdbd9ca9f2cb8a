"""Profile an engine: latency, with its conditions and spread."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import (
    EngineArgument,
    EngineLike,
    OnOption,
    Option,
    PathLike,
    SecondsOption,
    ThreadsOption,
    TrustedOption,
)
from edge.api.progress import Listener, Reporter

if TYPE_CHECKING:
    from edge.pipeline.profile import Profiled


@checked
def profile(
    engine: EngineArgument,
    seconds: SecondsOption = 10.0,
    against: Annotated[EngineLike | None, Option("interleave with this one", "ENGINE")] = None,
    image: Annotated[
        PathLike | Sequence[PathLike] | None, Option("time file to mask on it; may repeat", "FILE", repeats=True)
    ] = None,
    pixels: Annotated[bool, Option("time pixels to mask too, with the task on the host and inside the engine")] = False,
    layers: Annotated[bool, Option("time every layer")] = False,
    sweep: Annotated[bool, Option("throughput over batches and streams")] = False,
    threads: ThreadsOption = None,
    on: OnOption = None,
    trusted_key: TrustedOption = (),
    progress: Listener | None = None,
) -> "Profiled":
    """Latency with its conditions and spread; --against gives the ratio of two engines from one interleaved run.

    Example: edge profile runs/unet/engines/int8 --against runs/unet/engines/fp32 --seconds 1

    Args:
        engine: engine or run, a folder or in memory.
        seconds: of timing for each engine.
        against: another engine, timed in turns with the first.
        image: files to time from file to mask.
        pixels: time pixels to mask too.
        layers: time every layer of the first engine.
        sweep: measure throughput over batches and streams.
        threads: CPU threads.
        on: a board to send the engines to and time them on, over SSH; None is this machine.
        trusted_key: public keys; with one here or in ``~/.config/segedge/trusted_keys`` no other engine is taken.
        progress: called with every event.

    Raises:
        InputError: an engine given twice or not signed by a trusted key, or images that do not decode.
        MachineError: this machine cannot run an engine.
    """
    from edge.api.given import as_address, as_paths, trusted_engine
    from edge.errors import InputError
    from edge.pipeline.profile import Extras, profile_engines

    reporter = Reporter(progress)
    named: list[tuple[str, EngineLike]] = [("engine", engine), *([("against", against)] if against is not None else [])]
    known = [trusted_engine(name, given, trusted_key) for name, given in named]
    folders, address = [folder for folder, _ in known], as_address(on)
    if address is not None:
        from edge.pipeline.on_board import profile_on_board

        if image or pixels or sweep or threads is not None:
            raise InputError(f"--on {on}: times compute and layers; leave out image, pixels, sweep and threads")
        profiled = profile_on_board(address, folders, seconds, layers, reporter)
    else:
        extras = Extras(as_paths("image", image) if image else (), pixels, layers, sweep)
        profiled = profile_engines(folders, seconds, threads, extras, reporter)
    for _, vouched in known:
        reporter.say(vouched)
    return profiled
