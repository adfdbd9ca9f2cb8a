"""One verb: latencies of engines, with whatever else was asked for about the first of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge.backends import find_backend
from edge.backends.engine import Layer, read_engine
from edge.errors import InputError
from edge.latency.footprint import Footprint, footprint
from edge.latency.pixels import IN_ENGINE, ON_HOST, PROOF_IMAGES, InEngine, PixelsToMask, in_engine, on_host
from edge.latency.pixels import REGION as PIXELS_REGION
from edge.latency.stages import Stages, image_to_mask
from edge.latency.sweep import SWEEP_SECONDS, Throughput, sweep
from edge.latency.timing import Measured, Ratio, Run, compute_runs, interleave, ratio, timed_seconds
from edge.notebook.shown import Shown, Table
from edge.pipeline.progress import Progress
from edge.task.noise import noise_batch, noise_pixels


@dataclass(frozen=True)
class Extras:
    """What ``edge profile`` measures beyond compute, where asked for.

    Attributes:
        images: files for the image-to-mask split; none leaves it out.
        pixels: time pixels to mask as well, with the task on the host and inside the engine.
        layers: time every layer.
        sweep: batches and streams.
    """

    images: tuple[Path, ...] = ()
    pixels: bool = False
    layers: bool = False
    sweep: bool = False


@dataclass(frozen=True, repr=False)
class Profiled(Shown):
    """What ``edge profile`` found.

    Attributes:
        latencies: compute of each engine, interleaved; input and output are arrays in host memory.
        ratio: of the first two engines, first / second.
        memory: of a process of its own for each engine; empty for a board's.
        pixels: uint8 array to mask, of the first engine, interleaved with the rest.
        stages: image to mask, of the first engine.
        layers: of the first engine, slowest first.
        sweep: of the first engine.
    """

    latencies: dict[str, Measured]
    ratio: Ratio | None
    memory: dict[str, Footprint]
    pixels: PixelsToMask | None = None
    stages: Stages | None = None
    layers: tuple[Layer, ...] = ()
    sweep: tuple[Throughput, ...] = ()

    def __repr__(self) -> str:
        times = ", ".join(f"{name} {one.p50:.4g} ms" for name, one in self.latencies.items())
        return f"<Profiled {times}{f', ratio {self.ratio.ratio:.3f}' if self.ratio else ''}>"

    def _table(self) -> Table:
        rows = [(name, m.p50, m.p90, m.p99, m.n) for name, m in self.latencies.items()]
        return ("engine", "p50 ms", "p90 ms", "p99 ms", "runs"), rows

    def to_json(self) -> dict[str, Any]:
        """Everything but the single run times."""
        return {
            "engines": {name: asdict(measured.summary()) for name, measured in self.latencies.items()},
            "ratio": asdict(self.ratio) if self.ratio else None,
            "memory_bytes": next((found.added_bytes for found in self.memory.values()), None),
            "memory": {name: asdict(found) for name, found in self.memory.items()},
            "pixels_to_mask_ms": asdict(self.pixels) if self.pixels else None,
            "image_to_mask_ms": asdict(self.stages) if self.stages else None,
            "layers": [asdict(layer) for layer in self.layers],
            "sweep": [asdict(row) for row in self.sweep],
        }


def profile_engines(
    engines: Sequence[Path], seconds: float, threads: int | None, extras: Extras, progress: Progress
) -> Profiled:
    """Latencies of one engine, or of several interleaved, on random pixels prepared as the task says.

    Pixels to mask, where asked for, runs in the same interleaved turns but is reported apart.

    Raises:
        InputError: an engine given twice, or images that do not decode.
    """
    opened = [read_engine(path) for path in engines]
    if len({engine.folder.resolve() for engine in opened}) < len(opened):
        raise InputError(f"{engines[0]}: given twice; give another engine to --against")
    first = opened[0]
    progress.stage("load")
    with ExitStack() as stack:
        runners = {
            str(engine.folder): stack.enter_context(closing(find_backend(engine.backend).load(engine, threads)))
            for engine in opened
        }
        runs, conditions = dict[str, Run](), dict[str, Mapping[str, Any]]()
        for engine in opened:  # each on an image of its own task
            name = str(engine.folder)
            run, condition = compute_runs({name: runners[name]}, noise_batch(engine.task))
            runs.update(run)
            conditions.update(condition)
        runner = runners[str(first.folder)]
        inside = InEngine(None)
        if extras.pixels:
            shown = [noise_pixels(first.task, seed) for seed in range(PROOF_IMAGES)]
            inside = in_engine(first, runner, shown, threads)
            routes = {ON_HOST: on_host(runner, first.task)}
            if inside.runner is not None:
                routes[IN_ENGINE] = stack.enter_context(closing(inside.runner)).run
            for name, route in routes.items():
                runs[name] = partial(route, shown[0])
                conditions[name] = {**conditions[str(first.folder)], "timed_region": PIXELS_REGION}
        progress.stage("profile", timed_seconds(seconds, len(runs)))
        measured = interleave(runs, seconds, conditions=conditions, advance=progress.advance)
        progress.stage("beyond compute")
        stages = image_to_mask(runner, first.task, extras.images, seconds) if extras.images else None
        layers = runner.layers() if extras.layers else ()
    memory = {str(engine.folder): footprint(engine.folder, threads) for engine in opened}
    routed = {name: measured.pop(name) for name in (ON_HOST, IN_ENGINE) if name in measured}
    names = list(measured)
    return Profiled(
        measured,
        ratio(measured[names[0]].blocks, measured[names[1]].blocks) if len(names) > 1 else None,
        memory,
        _pixels_to_mask(routed, inside),
        stages,
        tuple(sorted(layers, key=lambda layer: -(layer.ms or 0.0))),
        sweep(first, seconds=min(seconds, SWEEP_SECONDS), threads=threads) if extras.sweep else (),
    )


def _pixels_to_mask(routed: Mapping[str, Measured], inside: InEngine) -> PixelsToMask | None:
    host, engine = routed.get(ON_HOST), routed.get(IN_ENGINE)
    if host is None:
        return None
    return PixelsToMask(
        on_host=host.summary(),
        in_engine=engine.summary() if engine else None,
        ratio=ratio(engine.blocks, host.blocks) if engine else None,
        reason=inside.reason,
        proven_on=inside.images,
    )
