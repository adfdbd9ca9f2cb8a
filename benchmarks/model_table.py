"""Write the table of ``models/README.md`` from ``benchmarks/results/networks.json`` and each ``model.toml``.

``python -m benchmarks.model_table`` replaces what stands between the two table markers; ``--check`` only says whether
it is up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.files import read_json, read_toml, write_text

RESULTS = Path("benchmarks/results/networks.json")
README = Path("models/README.md")
START, END = "<!-- table:start -->", "<!-- table:end -->"
HEADER = (
    "network",
    "parameters: published / ours",
    "MACs: published / ours",
    "Dice, IoU, recall, precision: published",
    "ours (float, DSB2018 test split)",
    "engines that pass, chosen in bold",
    "Dice retained",
    "p50, ratio to FP32",
    "weights",
)


def row(name: str, paper: Mapping[str, Any], found: Mapping[str, Any], weights: Path) -> tuple[str, ...]:
    """One network's cells."""
    model, reference, chosen = found["model"], found["reference"], found["chosen"]
    published = paper.get("scores", {}).get("dsb2018")
    engine = found["engines"].get(chosen or "", {})
    fp32 = found["engines"].get("fp32", {})
    speed = "–"
    if engine.get("p50_ms") and fp32.get("p50_ms"):
        paired = engine.get("against_fp32")  # round by round; else of medians
        times = 1 / paired["ratio"] if paired else fp32["p50_ms"] / engine["p50_ms"]
        speed = f"{engine['p50_ms']:.1f} ms, {times:.2f}×"
    return (
        f"[{name}]({name}/)",
        f"{paper.get('parameters_published', '–')} / {model['parameters']:,}".replace(",", " "),
        f"{paper.get('macs_published', '–')} / {model['macs'] / 1e9:.3f} G",
        _scores(published) if published else "none for this set",
        _scores(reference),
        ", ".join(f"**{n}**" if n == chosen else n for n, e in found["engines"].items() if e["passed"]) or "none",
        f"{100 * engine['dice_retained']:.2f} %" if engine else "–",
        speed,
        f"{weights.stat().st_size / 1e6:.1f} MB, Apache-2.0",
    )


def table(results: Mapping[str, Any], models: Path) -> str:
    """The Markdown between the markers."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
    readings = []
    for name, found in sorted(results["networks"].items()):
        described = read_toml(models / name / "model.toml")
        paper = described.get("paper", {})
        weights = models / name / described["model"].get("checkpoint", "weights.safetensors")
        lines.append("| " + " | ".join(row(name, paper, found, weights)) + " |")
        readings += [f"- **{name}**: {paper.get('reference', 'no paper')}. Our reading: {_sentence(paper)}"]
        readings += _other_checkpoints(models / name, described)
    conditions = _conditions(results)
    return "\n".join([*lines, "", conditions, "", *readings])


def _other_checkpoints(folder: Path, described: Mapping[str, Any]) -> list[str]:
    """A line for every further checkpoint, from the record of its training."""
    lines = []
    for name, checkpoint in described.get("checkpoints", {}).items():
        record = folder / f"training-{name}.json"
        if record.is_file():
            trained = read_json(record)
            size = (folder / checkpoint["file"]).stat().st_size / 1e6
            lines.append(
                f"- **{folder.name}@{name}**: {_scores(trained['test'])} (Dice, IoU, recall, precision) on the "
                f"{trained['data']['images']['test']} test images of {trained['data']['name']}; {size:.1f} MB. "
                f"{checkpoint.get('note', '')}".rstrip()
            )
    return lines


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{scores[key]:.3f}" for key in ("dice", "iou", "recall", "precision"))


def _sentence(paper: Mapping[str, Any]) -> str:
    reading = paper.get("our_reading", [])
    return ("; ".join(reading) if isinstance(reading, list) else str(reading)) or "nothing was left open."


def _conditions(results: Mapping[str, Any]) -> str:
    found = next(iter(results["networks"].values()))
    environment = found["environment"]
    commands = "; ".join(f"`{entry['command']}`" for _, entry in sorted(results["networks"].items()))
    some = next(e["conditions"] for e in found["engines"].values() if e["conditions"])
    return (
        f"Latencies: batch 1, {some.get('threads')} threads, {environment.get('cpu')}, OpenVINO "
        f"{environment.get('versions', {}).get('openvino')}, all engines of a network interleaved in one run; compare "
        "ratios, not milliseconds. Published scores are on the authors' own splits. Where strata were asked for, an "
        f"engine that fails in one is not among those that pass. Made by {commands}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    fresh = f"{before}{START}\n{table(read_json(RESULTS), Path('models'))}\n{END}{after}"
    if arguments.check:
        sys.exit(text != fresh)
    write_text(README, fresh)


if __name__ == "__main__":
    main()
