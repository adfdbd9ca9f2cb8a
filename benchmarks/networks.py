"""Deploy every network and keep what each report says in one small file.

``python -m benchmarks.networks --out benchmarks/results/networks.json`` runs ``edge deploy`` for each model folder, one
after the other, with the effort a user gets who names none, and prints how long each took. ``python -m
benchmarks.model_table`` makes the table of ``models/README.md`` from it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.cli.terminal import Terminal
from edge.files import read_json, write_json
from edge.pipeline.deploy import run_deploy
from edge.pipeline.effort import DEFAULT, EFFORTS
from edge.pipeline.session import Request
from edge.report.results import Report

SCHEMA = "edge.networks/1"
DATA = Path("calibration/dsb2018")


def summary(report: Report) -> dict[str, Any]:
    """The figures of one run that a table needs; every engine has a row."""
    return {
        "model": asdict(report.model),
        "evaluation": asdict(report.data.evaluation),
        "gate": report.engines[0].gate.preset if report.engines else None,
        "status": report.status,
        "reference": asdict(report.reference),
        "chosen": report.chosen,
        "engines": {
            row.name: {
                "precision": row.precision,
                "passed": row.gate.passed,
                "reasons": list(row.gate.reasons),
                "dice": row.accuracy.dice.mean if row.accuracy else None,
                "dice_retained": row.accuracy.dice.retained if row.accuracy else None,
                "iou_retained": row.accuracy.iou.retained if row.accuracy else None,
                "agreement": row.accuracy.agreement if row.accuracy else None,
                "sqnr_db": row.accuracy.sqnr_db if row.accuracy else None,
                "parity_db": row.accuracy.parity_db if row.accuracy else None,
                "p50_ms": row.latency_ms.p50 if row.latency_ms else None,
                "against_fp32": asdict(row.against_fp32) if row.against_fp32 else None,
                "cov": row.latency_ms.cov if row.latency_ms else None,
                "conditions": dict(row.latency_ms.conditions) if row.latency_ms else None,
                "convolutions_float": {layer.name: layer.reason for layer in row.layers if layer.reason},
            }
            for row in report.engines
        },
        "environment": dict(report.environment),
        "seconds": round(sum(report.timings.values()), 1),
        "timings": dict(report.timings),
        "command": report.command,
        "created": report.created,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/networks.json"))
    parser.add_argument("--runs", type=Path, default=Path("out/networks"), help="run folders go here")
    parser.add_argument("--effort", default=DEFAULT, choices=tuple(EFFORTS))
    parser.add_argument("--strata", metavar="COLUMN", help="manifest column to judge by as well")
    parser.add_argument("networks", nargs="*", help="such as litenext; default all under models/ with weights")
    arguments = parser.parse_args()
    found = [
        p.parent.name
        for p in sorted(Path("models").glob("*/model.toml"))
        if (p.parent / "weights.safetensors").is_file()
    ]
    done: Mapping[str, Any] = read_json(arguments.out)["networks"] if arguments.out.is_file() else {}
    networks = dict(done)
    effort = "" if arguments.effort == DEFAULT else f" --effort {arguments.effort}"
    strata = f" --strata {arguments.strata}" if arguments.strata else ""
    for name in arguments.networks or found:
        request = Request(
            model=f"models/{name}",
            data=DATA,
            out=arguments.runs / name,
            effort=arguments.effort,
            latency_seconds=EFFORTS[arguments.effort].latency_seconds,
            strata=arguments.strata,
            command=f"edge deploy models/{name} --data {DATA}{effort}{strata}",
        )
        with Terminal() as terminal:
            report, _ = run_deploy(request, terminal)
        networks[name] = row = summary(report)
        print(f"{name}: {report.status}, {report.chosen}, {row['seconds']:.0f} s", flush=True)
        write_json(arguments.out, {"schema": SCHEMA, "networks": networks})


if __name__ == "__main__":
    main()
