"""Per-layer precision against NNCF: ``python -m benchmarks.precision --out FILE.json``.

For each network, from its run folder and timed interleaved in one run: our chosen engine, our fastest INT8, mixed and
float engines, and NNCF's INT8 (presets MIXED and PERFORMANCE) and accuracy control, from the same ``source.onnx``,
images and threads. Says of each what it retains of Dice, how its masks agree, its milliseconds, how many evaluations
of the val images it took and how long it took to find. Writes JSON, and the table as Markdown beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.deployed import Deployment
from benchmarks.peers.accuracy import EVALUATIONS, VALIDATION_IMAGES, full_evaluations, read_evaluations
from benchmarks.peers.arguments import comparison_parser, kept_networks
from benchmarks.peers.run import OURS, Contestant, Plan, contest, our_engine, setting
from edge.errors import EdgeError
from edge.files import read_json, write_json, write_text
from edge.graph.model import read_model
from edge.latency.statistics import ratio
from edge.machine.environment import environment
from edge.pipeline.deploy import MEMORY
from edge.search.plain_candidates import FLOATS
from edge.search.plan_measurements import HARM_IMAGES

PEERS = ("nncf-int8", "nncf-int8-bf16", "nncf-performance", "nncf-accuracy-control")
_KINDS: Mapping[str, Sequence[str]] = {"int8": ("int8",), "mixed": ("mixed",), "float": FLOATS}
_SCORES = ("Dice retained", "agreement", "passes `99.9`")
_COLUMNS = ("network", "engine", *_SCORES, "ms", "× best float", "evaluations", "seconds")


def main() -> None:
    arguments = _parse()
    deployment = Deployment(arguments.data, arguments.runs, arguments.reuse, arguments.budget, arguments.threads)
    networks = kept_networks(arguments)
    for name in arguments.networks:
        _say(name)
        try:
            run = deployment.folder(arguments.models / name)
        except EdgeError as error:
            _say(f"  left out: {error}")
            continue
        networks[name] = compare_precision(
            Plan(
                model=str(arguments.models / name),
                data=arguments.data,
                run=run,
                scratch=(arguments.runs / f"{name}-precision").resolve(),
                threads=arguments.threads,
                pythons=dict(arguments.python),
                rounds=arguments.rounds,
                deadline=time.monotonic() + 60 * arguments.minutes,
                calibration_images=arguments.calibration_images,
                say=_say,
            )
        )
        write_json(arguments.out, {"networks": networks, "environment": environment()})
        write_text(arguments.out.with_suffix(".md"), table(networks))
    if not networks:
        sys.exit("no network could be compared")
    _say(table(networks))


def compare_precision(plan: Plan) -> dict[str, Any]:
    """One network's entry of the results file: a row for each engine, by name."""
    report = read_json(plan.run / "report.json")
    model = read_model(plan.run / "source.onnx")
    engines = _our_engines(report)
    settings = {f"{OURS} {name}": setting(plan, model, OURS, name) for name in engines}
    settings |= {name: setting(plan, model, name) for name in PEERS}
    found = contest(plan, settings)
    best = found[f"{OURS} {_fastest(report, FLOATS)}"]
    costs = {f"{OURS} {name}": _our_cost(plan.run, report, precision) for name, precision in engines.items()}
    costs |= {name: _peer_cost(plan.scratch / name, found[name]) for name in PEERS}
    rows = {name: {**_row(contestant, best), **costs[name]} for name, contestant in found.items()}
    chosen, _ = our_engine(report)
    return {"chosen": f"{OURS} {chosen}", "engines": rows}


def table(networks: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    for network, entry in networks.items():
        for name, row in entry["engines"].items():
            shown = f"**{name}**" if name == entry["chosen"] else name
            lines.append(f"| {network} | {shown} | {' | '.join(_cells(row))} |")
    note = (
        "Evaluations: passes over the validation images (images asked for, divided by all), ranking included: ours "
        f"over all of val, NNCF's over {VALIDATION_IMAGES} of it. Seconds: ours: calibration, and for a mixed engine "
        "the search; NNCF: until the engine ran, imports and compiling included."
    )
    return "\n".join([*lines, "", note, ""])


def _cells(row: Mapping[str, Any]) -> Iterable[str]:
    if row["error"]:
        yield from ("", "", row["error"], "", "")
    else:
        yield from (f"{row['dice_retained']:.4f}", f"{row['agreement']:.4f}", "yes" if row["passed"] else "no")
        low, high = row["speedup_ci95"]
        yield from (f"{row['ms']:.2f}", f"{row['speedup']:.2f} ({low:.2f} to {high:.2f})")
    yield "" if row["evaluations"] is None else f"{row['evaluations']:.1f}"
    yield "" if row["seconds"] is None else f"{row['seconds']:.0f}"


def _our_engines(report: Mapping[str, Any]) -> dict[str, str]:
    """Names of the chosen engine and of the fastest of each kind, with their precision."""
    precisions = {row["name"]: str(row["precision"]) for row in report["engines"]}
    fastest = (_fastest(report, kinds) for kinds in _KINDS.values())
    return {name: precisions[name] for name in dict.fromkeys((our_engine(report)[0], *fastest)) if name is not None}


def _fastest(report: Mapping[str, Any], precisions: Sequence[str]) -> str | None:
    """The fastest engine of some precisions, those that pass first."""
    rows = [row for row in report["engines"] if row["precision"] in precisions and row["latency_ms"]]
    best = min(rows, key=lambda row: (not row["gate"]["passed"], row["latency_ms"]["p50"]), default=None)
    return None if best is None else str(best["name"])


def _row(contestant: Contestant, best_float: Contestant) -> dict[str, Any]:
    scored = contestant.scored
    row: dict[str, Any] = {
        "ms": contestant.ms,
        "dice_retained": scored.dice_retained if scored else None,
        "agreement": scored.agreement if scored else None,
        "passed": scored.passed if scored else None,
        "error": contestant.error,
        "speedup": None,
        "speedup_ci95": None,
    }
    if contestant.ms is not None and best_float.ms is not None:
        against = ratio(best_float.blocks, contestant.blocks)
        row["speedup"], row["speedup_ci95"] = against.ratio, list(against.ci95)
    return row


def _our_cost(run: Path, report: Mapping[str, Any], precision: str) -> dict[str, Any]:
    """What was measured to find an engine, whether in this run or remembered from an earlier one."""
    stages = {"int8": ("calibrate",), "mixed": ("calibrate", "search")}.get(precision, ())
    known = (run / MEMORY).is_file() and precision == "mixed"
    facts = read_json(run / MEMORY)["facts"] if known else {}
    judged = sum(name.startswith("judged ") for name in facts)
    swept = sum(name.startswith("harm ") for name in facts)
    return {
        "full_evaluations": judged,
        "evaluations": judged + swept * min(1.0, HARM_IMAGES / report["data"]["search"]["images"]),
        "seconds": sum(report["timings"].get(stage, 0.0) for stage in stages),
    }


def _peer_cost(scratch: Path, contestant: Contestant) -> dict[str, Any]:
    asked = read_evaluations(scratch / EVALUATIONS)
    return {
        "full_evaluations": sum(row.images == row.of for row in asked),
        "evaluations": full_evaluations(asked),
        "seconds": contestant.build_seconds,
    }


def _parse() -> argparse.Namespace:
    parser = comparison_parser("benchmarks.precision", __doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="to build the peers of one network")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
