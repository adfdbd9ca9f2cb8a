"""What each command prints of what its function returned, and its exit code.

Further parameters that are marked ``Option`` are options of the command line alone: files for CI, and bars on the
result.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from edge.api.options import Option, PathLike
from edge.cli.output import FAILED, PASSED, Output
from edge.errors import InputError, UselessReferenceError

if TYPE_CHECKING:
    from edge.api.boards import BoardRow
    from edge.api.bundle import Bundle
    from edge.api.check_result import CheckResult
    from edge.api.run import FleetRun, Run
    from edge.backends.engine import Engine
    from edge.fusion import Fused
    from edge.latency.estimate import Estimate
    from edge.pipeline.profile import Profiled
    from edge.pipeline.starter import Starter
    from edge.quantization.plan import PrecisionPlan
    from edge.quantization.ranges import Ranges
    from edge.report.results import Report
    from edge.scale.job import SweepResult
    from edge.targets.target import Target

_SLOWEST = 15
REGRESSION = "regression"


def show_deploy(
    run: "Run",
    output: Output,
    fail_under_speedup: Annotated[
        float | None, Option("exit 1 where the chosen engine is not so many times as fast as FP32", "X", least=0)
    ] = None,
) -> int:
    """The engines, the verdict, and 1 where nothing passes or what passes is too slow."""
    from edge.api.run import FleetRun

    if isinstance(run, FleetRun):
        return _show_fleet(run, output)
    code = show_run(run, output)
    if fail_under_speedup is None or (run.speedup is not None and run.speedup >= fail_under_speedup):
        return code
    from edge.report import words

    row = run.report.chosen_row
    found = "" if row is None else words.times_fp32(row, words.baseline(run.report))
    found = found or "no speed-up was measured"
    with output.terminal() as terminal:
        terminal.say(f"fails   speed: {found}, --fail-under-speedup asks {fail_under_speedup:g}×")
    return FAILED


def _show_fleet(run: "FleetRun", output: Output) -> int:
    """A row a board, and 1 unless every one of them passes."""
    from edge.cli.tables import fleet_text

    document = {
        "boards": {name: one.report.to_json() for name, one in run.boards.items()},
        "faults": dict(run.faults),
        "page": str(run.page),
    }
    text = fleet_text({name: one.report for name, one in run.boards.items()}, run.faults)
    output.show(document, f"{text}\n\nreport  {run.page.resolve().as_uri()}")
    return PASSED if run.passed else FAILED


def show_sweep(found: "Sequence[SweepResult]", output: Output) -> int:
    """A row a deployment, and 1 unless every one of them passes."""
    from edge.cli.tables import sweep_text

    output.show([asdict(row) for row in found], sweep_text(found))
    return PASSED if all(row.status == "passed" for row in found) else FAILED


def show_boards(found: "Sequence[BoardRow]", output: Output) -> int:
    """The boards, and 3 where one of them was asked and did not answer."""
    from edge.cli.tables import table_text

    rows = []
    for row in found:
        facts = row.facts
        said = row.fault or "" if facts is None else f"{facts.title}, Python {facts.python}, numpy {facts.numpy}"
        rows.append((row.name, row.on, said))
    if not rows:
        text = "no boards; edge boards add NAME USER@HOST names one"
    elif any(said for _, _, said in rows):
        text = table_text(("board", "on", "is"), rows, left=3)
    else:
        table = table_text(("board", "on"), [row[:2] for row in rows], left=2)
        text = f"{table}\n\nnext    edge boards check asks each what it is"
    output.show([asdict(row) for row in found], text)
    return 3 if any(row.fault for row in found) else PASSED


def show_run(run: "Run", output: Output) -> int:
    """The engines and the verdict, and 1 where nothing passes."""
    from edge.cli.tables import engines_text
    from edge.cli.verdict import verdict_text

    output.show(run.report.to_json(), f"{engines_text(run.report)}\n\n{verdict_text(run)}")
    return FAILED if run.report.status == "failed" else PASSED


def show_build(engine: "Engine", output: Output) -> None:
    """What was built, a fact a line."""
    summary = engine.summary()
    output.show(summary, "\n".join(f"{key}: {value}" for key, value in summary.items()))


def show_check(
    result: "CheckResult",
    output: Output,
    junit: Annotated[PathLike | None, Option("write the verdicts as JUnit XML", "FILE")] = None,
) -> int:
    """The scores; 1 where an engine fails. In a GitHub Actions step, its summary gets a table too."""
    from edge.cli.junit import write_junit
    from edge.cli.step_summary import append_summary
    from edge.cli.tables import accuracy_text, scores_text

    if result.scores is not None:
        if junit is not None:
            raise InputError(f"--junit {junit}: is for engines, a model alone has no verdict; add --reference MODEL")
        output.show(result.to_json(), scores_text(result.scores))
        if result.fault is not None:
            raise UselessReferenceError(result.fault)
        return PASSED
    output.show(result.to_json(), accuracy_text([(row.engine, row.accuracy, row.gate) for row in result.engines]))
    if junit is not None:
        write_junit(result, Path(junit))
    append_summary(result)
    return PASSED if result.passed else FAILED


def show_segment(masks: Sequence[Path], output: Output) -> None:
    """The masks, one a line."""
    output.show([str(mask) for mask in masks], "\n".join(map(str, masks)))


def show_sign(signature: Path, output: Output) -> None:
    """The signature's file."""
    output.show({"signature": str(signature)}, str(signature))


def show_profile(found: "Profiled", output: Output) -> None:
    """Latencies, and what else was asked for."""
    from edge.cli.tables import profile_text

    output.show(found.to_json(), profile_text(found))


def show_report(
    reports: "Sequence[Report]",
    output: Output,
    runs: Sequence[str],
    out: str,
    fail_on: Annotated[
        str | None,
        Option("exit 1 where an engine is worse than in the first run of its network and target", "regression",
               values=lambda: (REGRESSION,)),
    ] = None,
) -> int:  # fmt: skip
    """What changed, and the page; 1 where an engine has regressed and that was asked about."""
    from edge.cli.tables import changes_text
    from edge.report.changes import REGRESSED, changes, folder_labels

    if fail_on not in (None, REGRESSION):
        raise InputError(f"--fail-on {fail_on}: unknown; the only choice is {REGRESSION}")
    found = changes(reports, folder_labels([Path(run) for run in runs]))
    output.show([report.to_json() for report in reports], f"{changes_text(found)}{out}")
    if fail_on is not None and not found:
        raise InputError(
            f"--fail-on {fail_on}: no two of the runs are of one network and target, so nothing was compared; give the "
            "released run and one of a network of the same name"
        )
    worse = any(change.state == REGRESSED for change in found)
    return FAILED if fail_on is not None and worse else PASSED


def show_bundle(bundle: "Bundle", output: Output) -> None:
    """The archive."""
    output.show({"path": str(bundle.path), "bytes": bundle.bytes}, str(bundle.path))


def show_export(written: Path, output: Output) -> None:
    """What was written."""
    output.show({"path": str(written)}, str(written))


def show_estimate(found: "Estimate", output: Output, model: str) -> None:
    """The slowest layers and the sum, labelled as an estimate."""
    from edge.cli.tables import table_text

    slowest = sorted(found.layers, key=lambda layer: -layer.ms)[:_SLOWEST]
    rows = [(x.name, x.op, x.precision, f"{x.ms:.4f}", x.bound) for x in slowest]
    lines = [
        table_text(("layer", "op", "precision", "estimated ms", "bound by"), rows, left=3),
        "",
        *expected_lines(found),
        f"ESTIMATE, not measured: no engine of {model} in {found.precision} is expected under {found.ms:.3f} ms "
        f"on {found.target}",
        *(f"assumes: {assumption}" for assumption in found.assumptions),
        f"peaks from: {found.source}",
    ]
    output.show(asdict(found), "\n".join(lines))


def expected_lines(found: "Estimate") -> list[str]:
    """What published measurements make one expect, with its error."""
    expected = found.expected
    if found.unlike:
        return [f"nothing is expected from published measurements: {found.unlike}", ""]
    if expected is None:
        return []
    return [
        f"EXPECTED, not measured: {expected.ms:.3g} ms on {found.target}, between {expected.low:.3g} and "
        f"{expected.high:.3g} ms as nine of ten published measurements of networks that were left out of the fit",
        f"fitted to {expected.measurements} published measurements of {expected.networks} networks; the fit without a "
        f"network is off for it by {expected.left_out_error:.2f} times (root mean square), "
        f"{expected.worst_error:.2f} times at worst",
        *([f"beyond what they cover: {expected.caution}"] if expected.caution else []),
        "",
    ]


def show_targets(known: "Sequence[Target]", output: Output) -> None:
    """The devices, which of them this machine is, and what it lacks to be the others."""
    from edge.cli.tables import targets_text
    from edge.targets.local import lacks

    lacking = {target.name: lacks(target) for target in known}
    rows = [{**t.to_json(), "here": lacking[t.name] is None, "lacks": lacking[t.name]} for t in known]
    output.show(rows, targets_text(known, lacking))


def show_inspect(found: dict[str, Any], output: Output) -> None:
    """The facts, one a line."""
    text = "\n".join(f"{key}: {json.dumps(v) if isinstance(v, dict | list) else v}" for key, v in found.items())
    output.show(found, text)


def show_init(found: "Starter", output: Output) -> None:
    """The text of the file, to be redirected into one."""
    document = {"task": found.task.to_table(), "guesses": found.guesses, "text": found.text}
    output.show(document, found.text.rstrip("\n"), asked_for=True)


def show_fuse(fused: "Fused", output: Output, out: str) -> None:
    """What was rewritten, and how far outputs moved."""
    from edge.cli.tables import table_text

    rows = [(a.rewrite, a.times, a.nodes, a.macs, a.bytes) for a in fused.applied]
    document = {"path": out, "applied": [asdict(a) for a in fused.applied], "max_error": fused.max_error}
    table = table_text(("rewrite", "times", "nodes saved", "MACs saved", "bytes saved"), rows)
    output.show(document, f"{table}\n\nlargest change of an output: {fused.max_error:.1e}\n{out}")


def show_calibrate(ranges: "Ranges", output: Output, out: str) -> None:
    """How much was learned."""
    document = {"path": out, "tensors": len(ranges.tensors), "images": ranges.images}
    output.show(document, f"{len(ranges.tensors)} tensors from {ranges.images} images\n{out}")


def show_quantize(used: "PrecisionPlan", output: Output, out: str) -> None:
    """How many layers run in INT8, and why the others do not."""
    lines = [f"{len(used.int8)} layers in INT8", *(f"{name}: {why}" for name, why in used.reasons.items()), out]
    output.show({"path": out, "int8": sorted(used.int8), "float": dict(used.reasons)}, "\n".join(lines))
