"""Our chosen engine against the peers in all but one image's latency: ``python -m benchmarks.peers.wide``.

``--out FILE.json [--latency PEERS.json]`` takes the run folders and the peers' graphs that ``benchmarks.peers`` left in
``--runs``; nothing is deployed and nothing quantized, and a peer whose graph is not there is a row with the reason. All
contestants run in this environment, which is all that a finished graph needs. In turn, round by round:

- images a second by OpenVINO's own ``benchmark_app -hint throughput``, and ours also by its best batch and streams;
- an 8-bit picture at the network's size to its mask: ours with the task inside the engine, where that gives the same
  masks, peers with the task's own numpy around them;
- a fresh process's time from file to first mask, and the most that it held in memory over ten pictures;
- what making the engine took: ours by its report, peers' by ``--latency``, the results of ``benchmarks.peers``.

Writes JSON, and the table as Markdown beside it.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.agree_benchmark_app import app_output
from benchmarks.deployed import holds
from benchmarks.peers import quantized
from benchmarks.peers.arguments import kept_networks, shared_parser
from benchmarks.peers.builders import OPENVINO_GRAPHS, Graph, require_precision
from benchmarks.peers.mask_worker import OURS_IN_ENGINE
from benchmarks.peers.run import OURS, Plan, our_engine, setting, turned
from benchmarks.peers.session import Session
from benchmarks.peers.setting import IMAGES, TASK, Setting
from benchmarks.peers.standing import MEASURES, Series, standing, table
from benchmarks.peers.worker import block
from edge.backends import find_backend
from edge.backends.engine import Engine, read_engine
from edge.backends.openvino.network import HINTS, core
from edge.errors import EdgeError, InputError
from edge.files import read_json, write_json, write_text
from edge.graph.model import read_model
from edge.images.image_set import load_image_set
from edge.latency.pixels import PROOF_IMAGES, in_engine
from edge.latency.sweep import SWEEP_SECONDS, sweep
from edge.machine.environment import environment
from edge.task.task import SegmentationTask

SCHEMA = "edge.peers_wide/1"
PICTURES = 10
_OWN = "ours, own batches and streams"
_WORKER = "mask_worker"
_BLOCKS = 10
_BLOCK_SECONDS = 0.12
_WARMUP_SECONDS = 0.5
_WORKER_SECONDS = 600.0
_NOT_OPENVINO = "not run: benchmark_app takes OpenVINO's graphs"
_OPENVINO_PEERS: Mapping[str, str] = {"f32": "openvino-fp32", "bf16": "openvino-bf16"}
"""Who runs a finished graph, by its float precision."""

Found = Mapping[str, float]
Step = Callable[[], Found]


@dataclass(frozen=True)
class Contestant:
    """A contestant that is there.

    Attributes:
        setting: of the worker that loads it, from its finished graph.
        graph: what ``benchmark_app`` runs; None where it is not OpenVINO's.
    """

    setting: Setting
    graph: Graph | None


@dataclass(frozen=True)
class Wide:
    """One network's comparison.

    Attributes:
        plan: of its run folder, peers and rounds.
        seconds: of each run of ``benchmark_app``.
        latency: the network's entry in the results of ``benchmarks.peers``; empty where there is none.
        reused: that run took graphs which were there, so it does not know what making them takes.
    """

    plan: Plan
    seconds: int
    latency: Mapping[str, Any]
    reused: bool = False


def main() -> None:
    arguments = _parse()
    latency: Mapping[str, Any] = read_json(arguments.latency) if arguments.latency else {"networks": {}}
    networks = kept_networks(arguments)
    for name in arguments.networks:
        _say(name)
        try:
            networks[name] = compare_widely(
                Wide(
                    _plan(name, arguments),
                    arguments.seconds,
                    latency["networks"].get(name, {"peers": {}}),
                    reused=latency.get("reuse", False),
                )
            )
        except EdgeError as error:
            _say(f"  left out: {error}")
            continue
        write_json(arguments.out, {"schema": SCHEMA, "networks": networks, "environment": environment()})
        write_text(arguments.out.with_suffix(".md"), table(networks))
    if not networks:
        sys.exit("no network could be compared")
    _say(table(networks))


def compare_widely(wide: Wide) -> dict[str, Any]:
    """One network's entry of the results file.

    Raises:
        InputError: its run folder is not there, or of another network.
    """
    plan = wide.plan
    if not holds(plan.run, Path(plan.model)):
        raise InputError(f"{plan.run}: holds no run of {plan.model}; python -m benchmarks.peers --runs makes it")
    report = read_json(plan.run / "report.json")
    name, passed = our_engine(report)
    engine = read_engine(plan.run / "engines" / name)
    with _pictures(plan) as pictures:
        images = np.load(pictures / IMAGES)
        route, reason = _our_route(engine, images, plan.threads)
        model = read_model(plan.run / "source.onnx")
        ours = replace(setting(plan, model, OURS, name), peer=route, pictures=pictures)
        there, lost = _finished({peer: replace(setting(plan, model, peer), pictures=pictures) for peer in plan.peers})
        found, batching = _measured(wide, engine, ours, there)
    found["build_seconds"] = builds(report, wide.latency, wide.reused, plan.peers)
    passing = {peer for peer, row in wide.latency["peers"].items() if row["passed"]}
    return {
        "ours": name,
        "ours_passed": passed,
        "task_in_engine": route == OURS_IN_ENGINE,
        "task_in_engine_reason": reason,
        "own_batches_streams": batching,
        "numpy_ms": _numpy_ms(engine.task, images[0]),
        "build_stages": report["timings"],
        "conditions": {"threads": plan.threads, "rounds": plan.rounds, "seconds": wide.seconds, "pictures": PICTURES},
        "measures": {
            measure.name: standing(
                measure,
                found[measure.name][OURS],
                {peer: found[measure.name].get(peer) or Series(error=lost[peer]) for peer in plan.peers},
                passing,
            )
            for measure in MEASURES
        },
    }


def finished(told: Setting) -> Contestant:
    """A contestant from the graph that an earlier run made for it.

    Raises:
        RuntimeError: there is none, or this machine does not compute in its precision.
    """
    if told.peer in OPENVINO_GRAPHS:
        graph = OPENVINO_GRAPHS[told.peer](told)
        require_precision(core(), graph.precision)
        return Contestant(replace(told, peer=_OPENVINO_PEERS[graph.precision], source=graph.path), graph)
    if told.peer == "onnxruntime-int8":
        return Contestant(replace(told, peer="onnxruntime-fp32", source=quantized.by_onnxruntime(told)), None)
    return Contestant(told, None)


def _finished(settings: Mapping[str, Setting]) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Those that are there, and why the others are not."""
    there, lost = dict[str, Contestant](), dict[str, str]()
    for peer, told in settings.items():
        try:
            there[peer] = finished(replace(told, make=False))
        except RuntimeError as error:
            lost[peer] = str(error)
    return there, lost


@dataclass
class Rounds:
    """What came of one contestant, a table of figures each round; one that failed was not tried again."""

    found: list[Found] = field(default_factory=list)
    error: str | None = None

    def series(self, measure: str) -> Series:
        """One of the figures over the rounds that had it."""
        return Series(tuple(row[measure] for row in self.found if measure in row), self.error)


def _measured(
    wide: Wide, engine: Engine, ours: Setting, there: Mapping[str, Contestant]
) -> tuple[dict[str, dict[str, Series]], str]:
    """Everything that is measured here, by measure and contestant; and our best batch and streams."""
    plan, workers = wide.plan, {OURS: ours, **{peer: one.setting for peer, one in there.items()}}
    plan.say("  images a second")
    throughput, own, batching = _throughput(wide, engine, there)
    plan.say("  picture to mask")
    masks = _masks(plan, workers)
    plan.say("  memory and loading")
    fresh = in_turn(plan.rounds, {name: partial(_fresh, worker) for name, worker in workers.items()})
    found = {
        "throughput": throughput,
        "own_throughput": {**throughput, OURS: own},
        "mask_ms": masks,
        "peak_mb": {name: rounds.series("peak_mb") for name, rounds in fresh.items()},
        "load_seconds": {name: rounds.series("load_seconds") for name, rounds in fresh.items()},
    }
    return found, batching


def in_turn(rounds: int, steps: Mapping[str, Step]) -> dict[str, Rounds]:
    """Take the step of every contestant once a round, the order turned from round to round."""
    found = {name: Rounds() for name in steps}
    for turn in range(rounds):
        for name in turned(list(steps), turn):
            if found[name].error is None:
                try:
                    found[name].found.append(steps[name]())
                except (RuntimeError, EdgeError) as error:
                    found[name].error = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return found


def _throughput(wide: Wide, engine: Engine, there: Mapping[str, Contestant]) -> tuple[dict[str, Series], Series, str]:
    """Images a second of all; ours by its best batch and streams; which these are."""
    graphs = {OURS: Graph(engine.folder / engine.artefact, HINTS[engine.rest])} if engine.backend == "openvino" else {}
    graphs |= {peer: one.graph for peer, one in there.items() if one.graph is not None}
    steps: dict[str, Step] = {name: partial(_app, graph, wide) for name, graph in graphs.items()}
    rounds = in_turn(wide.plan.rounds, {**steps, _OWN: partial(_batches_streams, engine, wide)})
    own, kind = _best_of(rounds[_OWN])
    run = {name: rounds[name].series("throughput") if name in graphs else Series(error=_NOT_OPENVINO) for name in there}
    return (
        {OURS: rounds[OURS].series("throughput") if OURS in graphs else Series(error=_NOT_OPENVINO), **run},
        own,
        kind,
    )


def _app(graph: Graph, wide: Wide) -> Found:
    """``benchmark_app`` takes threads beside a hint from a file only."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "threads.json"
        write_json(config, {"CPU": {"INFERENCE_NUM_THREADS": wide.plan.threads}})
        told = app_output(
            graph.path, graph.precision, wide.seconds, ("-hint", "throughput", "-load_config", str(config))
        )
    match = re.search(r"Throughput:\s+([0-9.]+) FPS", told)
    if match is None:
        raise RuntimeError(f"benchmark_app gave no throughput: {(told.strip().splitlines() or ['no message'])[-1]}")
    return {"throughput": float(match[1])}


def _batches_streams(engine: Engine, wide: Wide) -> Found:
    rows = sweep(engine, seconds=min(wide.seconds, SWEEP_SECONDS), threads=wide.plan.threads)
    return {f"{row.batch} × {row.streams}": row.images_per_second for row in rows if row.images_per_second is not None}


def _best_of(rounds: Rounds) -> tuple[Series, str]:
    """The setting with the highest median, not the luckiest of each round."""
    kinds = {kind: rounds.series(kind) for row in rounds.found for kind in row}
    best = max(kinds, key=lambda kind: median(kinds[kind].rounds), default="")
    return (kinds[best], best) if best else (Series(error=rounds.error), "")


def _masks(plan: Plan, workers: Mapping[str, Setting]) -> dict[str, Series]:
    """Milliseconds from picture to mask: all loaded, timed in blocks by turns, some blocks a round."""
    with ExitStack() as stack:
        sessions = {name: stack.enter_context(closing(Session(told, _WORKER))) for name, told in workers.items()}
        for session in sessions.values():
            if session.ready(_WORKER_SECONDS):
                session.ask(_WORKER_SECONDS, {"do": "time", "seconds": _WARMUP_SECONDS})
        steps = {name: partial(_block, session) for name, session in sessions.items()}
        found = in_turn(plan.rounds * _BLOCKS, steps)
    return {name: _by_round(rounds.series("mask_ms")) for name, rounds in found.items()}


def _block(session: Session) -> Found:
    answer = session.ask(_WORKER_SECONDS, {"do": "time", "seconds": _BLOCK_SECONDS})
    if answer is None:
        raise RuntimeError(session.error)
    return {"mask_ms": median(answer["ms"])}


def _by_round(blocks: Series) -> Series:
    rounds = range(0, len(blocks.rounds), _BLOCKS)
    return Series(tuple(median(blocks.rounds[start : start + _BLOCKS]) for start in rounds), blocks.error)


def _fresh(told: Setting) -> Found:
    """A process that only loads it and makes some masks: seconds to the first, and its most memory."""
    with closing(Session(told, _WORKER)) as session:
        answer = session.ask(_WORKER_SECONDS, {"do": "peak"}) if session.ready(_WORKER_SECONDS) else None
        if answer is None or session.build_seconds is None:
            raise RuntimeError(session.error)
        return {"load_seconds": session.build_seconds, "peak_mb": answer["peak_mb"]}


def builds(
    report: Mapping[str, Any], latency: Mapping[str, Any], reused: bool, peers: Sequence[str]
) -> dict[str, Series]:
    """Seconds that making each took.

    Args:
        report: of our run.
        latency, reused: as of :class:`Wide`; a run that took graphs which were there does not know what peers took.
        peers: by name.
    """
    found = {OURS: Series((sum(report["timings"].values()),))}
    for peer in peers:
        seconds = latency["peers"].get(peer, {}).get("build_seconds")
        if reused:
            found[peer] = Series(error="not run: its graph was there already")
        else:
            found[peer] = Series(error="not in --latency") if seconds is None else Series((seconds,))
    return found


@contextmanager
def _pictures(plan: Plan) -> Iterator[Path]:
    """A folder of test pictures at the network's size, and of the task, for as long as workers read them."""
    task = read_model(plan.run / "source.onnx").task
    images = load_image_set(plan.data).split("test").spread(PICTURES)
    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder) / TASK, task.to_table())
        np.save(Path(folder) / IMAGES, np.stack([task.resized(sample.plane(task)) for sample in images]))
        yield Path(folder)


def _our_route(engine: Engine, pictures: NDArray[Any], threads: int) -> tuple[str, str]:
    """The task inside the engine where that gives the same masks, else around it, and why."""
    with closing(find_backend(engine.backend).load(engine, threads)) as runner:
        inside = in_engine(engine, runner, list(pictures[:PROOF_IMAGES]), threads)
    if inside.runner is None:
        return OURS, inside.reason
    inside.runner.close()
    return OURS_IN_ENGINE, ""


def _numpy_ms(task: SegmentationTask, picture: NDArray[Any]) -> float:
    """Milliseconds of the task's numpy alone: no other code around a peer's network could save it more than that."""
    maps = np.zeros((task.maps, *task.size), np.float32)
    return median(block(lambda: (task.normalized(picture), task.decide(maps)), _WARMUP_SECONDS))


def _plan(name: str, arguments: argparse.Namespace) -> Plan:
    return Plan(
        model=str(arguments.models / name),
        data=arguments.data,
        run=(arguments.runs / name).resolve(),
        scratch=(arguments.runs / f"{name}-peers").resolve(),
        threads=arguments.threads,
        pythons={},
        rounds=arguments.rounds,
        deadline=math.inf,
        calibration_images=0,
        say=_say,
        peers=arguments.peers,
        reuse=True,
    )


def _parse() -> argparse.Namespace:
    parser = shared_parser("benchmarks.peers.wide", __doc__, rounds=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each run of benchmark_app")
    parser.add_argument(
        "--latency",
        type=Path,
        metavar="FILE",
        help="results of benchmarks.peers, of the run that made the graphs: who passes the gate, and build seconds",
    )
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
