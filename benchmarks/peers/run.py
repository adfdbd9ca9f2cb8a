"""One network against all its peers: build, score, time interleaved, compare."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.builders import PEERS, Setting
from benchmarks.peers.session import Session
from edge.accuracy.compare import compare
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import judge, load_gate
from edge.backends.onnxruntime import reference
from edge.files import read_json
from edge.images import ImageSet, load_image_set
from edge.latency.statistics import ratio
from edge.model import Model, read_model

GATE = "99.9"
OURS = "ours"
_BLOCK_SECONDS = 0.12
_FEWEST_ROUNDS = 12
_EVALUATE_SECONDS = 300.0
_BUILD_SECONDS = 240.0

# What an engine is called for the gate's soundness rules.
_PRECISIONS: Mapping[str, tuple[str, str]] = {
    "torch": ("fp32", "fp32"),
    "torch-compile": ("fp32", "fp32"),
    "onnxruntime-fp32": ("fp32", "fp32"),
    "onnxruntime-int8": ("int8", "fp32"),
    "openvino-fp32": ("fp32", "fp32"),
    "openvino-bf16": ("bf16", "bf16"),
    "nncf-int8": ("int8", "fp32"),
    "nncf-int8-bf16": ("int8", "bf16"),
    "nncf-accuracy-control": ("int8", "bf16"),
    "modelopt-int8": ("int8", "bf16"),
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


def compare_network(plan: Plan) -> dict[str, Any]:
    """The network's entry of the results file."""
    model = read_model(plan.run / "source.onnx")
    images = load_image_set(plan.data)
    report = read_json(plan.run / "report.json")
    engine, passed = our_engine(report)
    settings = _settings(plan, model, images, engine)
    sessions = {name: Session(setting, setting.scratch / "log.txt") for name, setting in _first(settings)}
    try:
        for name, setting in settings.items():
            if name not in sessions:  # one at a time: builders use all cores
                sessions[name] = Session(setting, setting.scratch / "log.txt")
            left = max(1.0, min(_BUILD_SECONDS, plan.deadline - time.monotonic()))
            built = sessions[name].ready(left)
            plan.say(f"  {name}: {'ready' if built else sessions[name].error}")
        blocks = _time(plan, list(sessions.values()))
        scores = _score(plan, model, images.split("test"), sessions)
        errors = {name: session.error for name, session in sessions.items()}
    finally:
        for session in sessions.values():
            session.close()
    return _entry(engine, passed, blocks, scores, errors)


def our_engine(report: Mapping[str, Any]) -> tuple[str, bool]:
    """Name of the chosen engine; where none passes, of the fastest that was built, and False."""
    if report["chosen"] is not None:
        return str(report["chosen"]), True
    built = [row for row in report["engines"] if row["latency_ms"]]
    return str(min(built, key=lambda row: row["latency_ms"]["p50"])["name"]), False


def _settings(plan: Plan, model: Model, images: ImageSet, engine: str) -> dict[str, Setting]:
    plan.scratch.mkdir(parents=True, exist_ok=True)
    calibration = plan.scratch / "calibration.npy"
    np.save(calibration, _inputs(model, images.split("train").spread(plan.calibration_images)))
    settings = {}
    for name in (OURS, *PEERS):
        scratch = plan.scratch / name
        scratch.mkdir(parents=True, exist_ok=True)
        settings[name] = Setting(
            peer=name,
            model=plan.model,
            source=plan.run / "source.onnx",
            output=model.output_name,
            calibration=calibration,
            data=plan.data,
            engine=plan.run / "engines" / engine,
            scratch=scratch,
            threads=plan.threads,
            pythons=dict(plan.pythons),
        )
    return settings


def _first(settings: Mapping[str, Setting]) -> list[tuple[str, Setting]]:
    return list(itertools.islice(settings.items(), 1))


def _inputs(model: Model, images: ImageSet) -> NDArray[np.float32]:
    return np.stack([model.task.preprocess(sample.pixels()) for sample in images])


def _time(plan: Plan, sessions: Sequence[Session]) -> dict[str, list[NDArray[np.float64]]]:
    """Blocks of milliseconds, one of each engine in every round, the order turned from round to round."""
    blocks: dict[str, list[NDArray[np.float64]]] = {session.name: [] for session in sessions}
    alive = [session for session in sessions if session.error is None]
    for session in alive:  # warm up
        session.ask(_BUILD_SECONDS, {"do": "time", "seconds": 0.5})
    for turn in range(max(plan.rounds, _FEWEST_ROUNDS)):
        start = turn % max(1, len(alive))
        for session in [*alive[start:], *alive[:start]]:
            answer = session.ask(_EVALUATE_SECONDS, {"do": "time", "seconds": _BLOCK_SECONDS})
            if answer is not None:
                blocks[session.name].append(np.array(answer["ms"]))
    return blocks


def _score(
    plan: Plan, model: Model, images: ImageSet, sessions: Mapping[str, Session]
) -> dict[str, tuple[float, bool]]:
    """Dice retained and the gate's verdict of every engine that still runs."""
    inputs = plan.scratch / "images.npy"
    np.save(inputs, _inputs(model, images))
    truth = evaluate(reference(model).run, images, model.task)
    scores: dict[str, tuple[float, bool]] = {}
    for name, session in sessions.items():
        outputs = plan.scratch / name / "outputs.npy"
        answer = session.ask(_EVALUATE_SECONDS, {"do": "evaluate", "inputs": str(inputs), "outputs": str(outputs)})
        if answer is not None:
            scores[name] = _judge(name, model, images, np.load(outputs), truth)
    return scores


def _judge(
    name: str, model: Model, images: ImageSet, outputs: NDArray[np.float32], truth: Evaluation
) -> tuple[float, bool]:
    rows = iter(outputs)
    accuracy = compare(evaluate(lambda _: next(rows)[None], images, model.task), truth)
    precision, rest = _PRECISIONS.get(name, ("fp32", "fp32"))
    verdict = judge(load_gate(GATE), accuracy, precision, rest)
    return accuracy.dice.retained, verdict.passed


def _entry(
    engine: str,
    passed: bool,
    blocks: Mapping[str, Sequence[NDArray[np.float64]]],
    scores: Mapping[str, tuple[float, bool]],
    errors: Mapping[str, str | None],
) -> dict[str, Any]:
    medians = {
        name: float(np.median(np.concatenate(rows))) for name, rows in blocks.items() if rows and not errors[name]
    }
    peers = {
        name: {
            "ms": medians.get(name),
            "dice_retained": scores[name][0] if name in scores else None,
            "passed": scores[name][1] if name in scores else None,
            "error": errors[name],
        }
        for name in errors
        if name != OURS
    }
    ran = [name for name in peers if name in medians]
    best = min(ran, key=lambda name: medians[name], default=None)
    entry: dict[str, Any] = {
        "ours": engine,
        "ours_ms": medians.get(OURS),
        "ours_passed": passed and scores.get(OURS, (0.0, False))[1],
        "best_peer": None,
        "ratio": None,
        "ratio_ci95": None,
        "peers": peers,
    }
    if errors[OURS] is not None:
        entry["ours_error"] = errors[OURS]
    elif best is not None:
        found = ratio(blocks[best], blocks[OURS])
        entry["best_peer"] = {"name": best, "ms": medians[best], "passed": peers[best]["passed"]}
        entry["ratio"], entry["ratio_ci95"] = found.ratio, list(found.ci95)
    return entry
