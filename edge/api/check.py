"""Check engines against their float model, or score a float model alone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

from edge.api.check_result import CheckedEngine, CheckResult
from edge.api.checked import checked
from edge.api.options import (
    Argument,
    DataOption,
    DequantizeOption,
    EngineLike,
    GateOption,
    GroupOption,
    ModelLike,
    Option,
    SchedulerOption,
    SmallOption,
    StrataOption,
    TaskOption,
    TrustedOption,
    WeightsOption,
)
from edge.api.progress import Listener, Reporter
from edge.api.run import Run
from edge.errors import InputError

Subject = ModelLike | EngineLike


@checked
def check(
    subjects: Annotated[
        Subject | Sequence[Subject], Argument("ENGINE... | MODEL", "engine or run folders, or one model")
    ],
    data: DataOption,
    reference: Annotated[
        ModelLike | None,
        Option("float model to compare with; an ONNX file without a task takes the first engine's", "MODEL"),
    ] = None,
    gate: GateOption = "99.9",
    split: Annotated[str, Option("train, val or test", "NAME", values=lambda: ("train", "val", "test"))] = "test",
    weights: WeightsOption = None,
    task: TaskOption = None,
    dequantize: DequantizeOption = False,
    strata: StrataOption = None,
    group: GroupOption = None,
    allow_small: SmallOption = False,
    baseline: Annotated[
        str | Path | Run | None, Option("earlier run: engines must keep what its chosen engine scores", "RUN")
    ] = None,
    trusted_key: TrustedOption = (),
    scheduler: SchedulerOption = None,
    progress: Listener | None = None,
) -> CheckResult:
    """Dice, IoU and the gate, through the real engine; with a model instead, its float scores and no gate.

    Example: edge check runs/unet/engines/int8 --data calibration/dsb2018 --reference models/unet

    Args:
        subjects: one engine or run, several, or one model.
        data: as for :func:`edge.deploy`.
        reference: the float model; required for engines, unless ``baseline`` names a run, whose source it is then.
        gate: what an engine has to keep of the reference.
        split: of the data.
        weights, task, dequantize: of the reference, or of the model that is scored.
        strata, group, allow_small, progress: as for :func:`edge.deploy`.
        baseline: a run, or its folder; an engine fails where it keeps less of the mean Dice or IoU of the run's chosen
            engine on these images than the gate asks to be kept of the float model's (99.9 % where it asks for none).
        scheduler: of Dask, whose workers see the same files and offer ``machine=1``: masks are made and counted there,
            for sets that outgrow one machine; ``local`` starts a worker here for each physical core, ``local:N`` so
            many; None does it here, one image after the other. The same figures, where the machines are the same.
        trusted_key: public keys; with one here or in ``~/.config/segedge/trusted_keys`` no other engine is taken.

    Raises:
        InputError: an argument or a file is at fault.
        MachineError: this machine cannot run an engine; or nobody answers at the scheduler's address, or its workers
            cannot do the work.
    """
    from edge.api.given import as_data, as_optional_path, as_source, trusted_engine
    from edge.pipeline.check import check_engines, score_model

    named = list(subjects) if isinstance(subjects, list | tuple) else [subjects]
    earlier = as_optional_path("baseline", baseline.folder if isinstance(baseline, Run) else baseline)
    if reference is None and earlier is not None:
        reference = earlier / "source.onnx"
    images, reporter = as_data(data), Reporter(progress)
    elsewhere = None
    if scheduler is not None:
        from edge.scale.score import score_on

        elsewhere = partial(score_on, scheduler)
        images = images.resolve() if isinstance(images, Path) else images  # workers start in another folder
    if reference is None:
        if len(named) != 1:
            raise InputError("several subjects without --reference; give one model, or engines with --reference MODEL")
        for option, column in (("strata", strata), ("group", group)):
            if column is not None:
                raise InputError(
                    f"--{option} {column}: is for engines, a model alone is only scored; add --reference MODEL"
                )
        subject: Any = named[0]
        return CheckResult(
            (), *score_model(as_source(subject, weights, task, dequantize), images, split, reporter, elsewhere)
        )
    known = [trusted_engine("subjects", cast(EngineLike, subject), trusted_key) for subject in named]
    before = [] if earlier is None else [trusted_engine("baseline", earlier, trusted_key)]
    folders, source = [folder for folder, _ in (*known, *before)], as_source(reference, weights, task, dequantize)
    rows = check_engines(folders, images, split, source, str(gate), strata, group, allow_small, reporter, elsewhere)
    for _, vouched in (*known, *before):
        reporter.say(vouched)
    found = tuple(CheckedEngine(*row) for row in rows)
    if earlier is None:
        return CheckResult(found)
    from edge.accuracy.gate import load_gate
    from edge.api.baseline import not_worse

    asked = load_gate(str(gate))
    return CheckResult(tuple(not_worse(row, found[-1], str(earlier), asked) for row in found[:-1]))
