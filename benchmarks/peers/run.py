"""One network against all its peers: build, score, time interleaved, compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.builders import PEERS
from benchmarks.peers.session import Session
from benchmarks.peers.setting import Setting
from edge.accuracy.compare import compare
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import judge, load_gate
from edge.backends.onnxruntime import reference
from edge.files import read_json
from edge.graph.model import Model, read_model
from edge.images.image_set import ImageSet, load_image_set
from edge.latency.statistics import ratio

GATE = "99.9"
OURS = "ours"
_BLOCK_SECONDS = 0.12
_FEWEST_ROUNDS = 12
_EVALUATE_SECONDS = 300.0
_BUILD_SECONDS = 240.0
# It evaluates for every operation; it gets what the network's share of the time leaves.
_MOST_SECONDS: Mapping[str, float] = {"nncf-accuracy-control": 1800.0}

# What a builder's engine is called for the gate's soundness rules.
_PRECISIONS: Mapping[str, tuple[str, str]] = {
    "onnxruntime-int8": ("int8", "fp32"),
    "openvino-bf16": ("bf16", "bf16"),
    "nncf-int8": ("int8", "fp32"),
    "nncf-int8-bf16": ("int8", "bf16"),
    "nncf-performance": ("int8", "bf16"),
    "nncf-accuracy-control": ("int8", "bf16"),
    "modelopt-int8": ("int8", "bf16"),
    "aimet-int8": ("int8", "bf16"),
}


@dataclass(frozen=True)
class Plan:
    """What is compared and how long it may take.

    Attributes:
        model: model folder as given to ``edge deploy``.
        data: image set.
        run: our run folder.
        scratch: for workers' files and logs.
        threads: CPU threads of every engine.
        pythons: interpreters of peers with their own environment.
        rounds: blocks of each engine.
        deadline: ``time.monotonic()`` after which no further peer is built.
        calibration_images: of train.
        say: told what happens.
        peers: names of ``PEERS`` that take part.
        reuse: take peers' quantized graphs that an earlier run made.
    """

    model: str
    data: Path
    run: Path
    scratch: Path
    threads: int
    pythons: Mapping[str, str]
    rounds: int
    deadline: float
    calibration_images: int
    say: Callable[[str], None]
    peers: Sequence[str] = tuple(PEERS)
    reuse: bool = False


@dataclass(frozen=True)
class Scored:
    """A contestant's accuracy on the test split by our own yardstick."""

    dice_retained: float
    agreement: float
    passed: bool


@dataclass(frozen=True)
class Contestant:
    """What came of one engine in a contest.

    Attributes:
        blocks: milliseconds of each timed block, in the order of the rounds.
        scored: None where it is lost.
        error: why it is lost.
        build_seconds: to make it, imports included; None where it never came to be.
    """

    blocks: Sequence[NDArray[np.float64]]
    scored: Scored | None
    error: str | None
    build_seconds: float | None

    @property
    def ms(self) -> float | None:
        """Median over all blocks."""
        return float(np.median(np.concatenate(self.blocks))) if self.blocks and not self.error else None


def compare_network(plan: Plan) -> dict[str, Any]:
    """The network's entry of the results file."""
    model = read_model(plan.run / "source.onnx")
    engine, passed = our_engine(read_json(plan.run / "report.json"))
    peers = {name: setting(plan, model, name) for name in plan.peers}
    return _entry(engine, passed, contest(plan, {OURS: setting(plan, model, OURS, engine), **peers}))


def contest(plan: Plan, settings: Mapping[str, Setting]) -> dict[str, Contestant]:
    """Build each, one at a time, time all interleaved, and score them on test.

    Args:
        plan: of the network.
        settings: names to what is built, see :func:`setting`.
    """
    model = read_model(plan.run / "source.onnx")
    images = load_image_set(plan.data)
    np.save(_calibration(plan), _inputs(model, images.split("train").spread(plan.calibration_images)))
    sessions: dict[str, Session] = {}
    try:
        for name, what in settings.items():  # builders use all cores
            sessions[name] = Session(what)
            left = plan.deadline - time.monotonic()
            built = sessions[name].ready(max(1.0, min(_MOST_SECONDS.get(what.peer, _BUILD_SECONDS), left)))
            plan.say(f"  {name}: {'ready' if built else sessions[name].error}")
        blocks = _time(plan, sessions)
        peers = {name: what.peer for name, what in settings.items()}
        scores = _score(plan, model, images.split("test"), sessions, peers)
        return {
            name: Contestant(blocks[name], scores.get(name), session.error, session.build_seconds)
            for name, session in sessions.items()
        }
    finally:
        for session in sessions.values():
            session.close()


def our_engine(report: Mapping[str, Any]) -> tuple[str, bool]:
    """Name of the chosen engine; where none passes, of the fastest that was built, and False."""
    if report["chosen"] is not None:
        return str(report["chosen"]), True
    built = [row for row in report["engines"] if row["latency_ms"]]
    return str(min(built, key=lambda row: row["latency_ms"]["p50"])["name"]), False


def setting(plan: Plan, model: Model, peer: str, engine: str = "") -> Setting:
    """What a worker is told.

    Args:
        plan: of the network.
        model: its source graph.
        peer: a name of ``BUILDERS``.
        engine: name of our engine, for ``ours``.
    """
    scratch = plan.scratch / (engine or peer)
    scratch.mkdir(parents=True, exist_ok=True)
    return Setting(
        peer=peer,
        model=plan.model,
        source=plan.run / "source.onnx",
        output=model.output_name,
        calibration=_calibration(plan),
        data=plan.data,
        engine=plan.run / "engines" / engine,
        scratch=scratch,
        threads=plan.threads,
        pythons=dict(plan.pythons),
        reuse=plan.reuse,
    )


def _calibration(plan: Plan) -> Path:
    return plan.scratch / "calibration.npy"


def _inputs(model: Model, images: ImageSet) -> NDArray[np.float32]:
    return np.stack([model.task.preprocess(sample.pixels()) for sample in images])


def turned(names: Sequence[str], turn: int) -> list[str]:
    """The order of a round: each begins with another one."""
    start = turn % max(1, len(names))
    return [*names[start:], *names[:start]]


def _time(plan: Plan, sessions: Mapping[str, Session]) -> dict[str, list[NDArray[np.float64]]]:
    """Blocks of milliseconds, one of each engine in every round, the order turned from round to round."""
    blocks: dict[str, list[NDArray[np.float64]]] = {name: [] for name in sessions}
    alive = [name for name, session in sessions.items() if session.error is None]
    for name in alive:  # warm up
        sessions[name].ask(_BUILD_SECONDS, {"do": "time", "seconds": 0.5})
    for turn in range(max(plan.rounds, _FEWEST_ROUNDS)):
        for name in turned(alive, turn):
            answer = sessions[name].ask(_EVALUATE_SECONDS, {"do": "time", "seconds": _BLOCK_SECONDS})
            if answer is not None:
                blocks[name].append(np.array(answer["ms"]))
    return blocks


def _score(
    plan: Plan, model: Model, images: ImageSet, sessions: Mapping[str, Session], peers: Mapping[str, str]
) -> dict[str, Scored]:
    """Accuracy of every engine that still runs."""
    inputs = plan.scratch / "images.npy"
    np.save(inputs, _inputs(model, images))
    truth = evaluate(reference(model).run, images, model.task)
    scores: dict[str, Scored] = {}
    for name, session in sessions.items():
        outputs = session.log.with_name("outputs.npy")
        answer = session.ask(_EVALUATE_SECONDS, {"do": "evaluate", "inputs": str(inputs), "outputs": str(outputs)})
        if answer is not None:
            scores[name] = _judge(peers[name], model, images, np.load(outputs), truth)
    return scores


def _judge(peer: str, model: Model, images: ImageSet, outputs: NDArray[np.float32], truth: Evaluation) -> Scored:
    rows = iter(outputs)
    accuracy = compare(evaluate(lambda _: next(rows)[None], images, model.task), truth)
    precision, rest = _PRECISIONS.get(peer, ("fp32", "fp32"))
    verdict = judge(load_gate(GATE), accuracy, precision, rest)
    return Scored(accuracy.dice.retained, accuracy.agreement, verdict.passed)


def _entry(engine: str, passed: bool, found: Mapping[str, Contestant]) -> dict[str, Any]:
    ours = found[OURS]
    rivals = {name: row for name, row in found.items() if name != OURS}
    peers = {
        name: {
            "ms": row.ms,
            "dice_retained": row.scored.dice_retained if row.scored else None,
            "agreement": row.scored.agreement if row.scored else None,
            "passed": row.scored.passed if row.scored else None,
            "build_seconds": row.build_seconds,
            "error": row.error,
        }
        for name, row in rivals.items()
    }
    entry: dict[str, Any] = {
        "ours": engine,
        "ours_ms": ours.ms,
        "ours_passed": passed and ours.scored is not None and ours.scored.passed,
        **_against(ours, rivals, ""),
        **_against(ours, {n: row for n, row in rivals.items() if row.scored and row.scored.passed}, "passing_"),
        "peers": peers,
    }
    if ours.error is not None:
        entry["ours_error"] = ours.error
    return entry


def _against(ours: Contestant, rivals: Mapping[str, Contestant], kind: str) -> dict[str, Any]:
    """The fastest of some peers and its time as a multiple of ours; None where there is none."""
    times = {name: row.ms for name, row in rivals.items() if row.ms is not None}
    best = min(times, key=lambda name: times[name], default=None)
    if best is None or ours.ms is None:
        return {f"best_{kind}peer": None, f"{kind}ratio": None, f"{kind}ratio_ci95": None}
    scored, measured = rivals[best].scored, ratio(rivals[best].blocks, ours.blocks)
    return {
        f"best_{kind}peer": {"name": best, "ms": times[best], "passed": scored.passed if scored else None},
        f"{kind}ratio": measured.ratio,
        f"{kind}ratio_ci95": list(measured.ci95),
    }
