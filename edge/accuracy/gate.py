"""The gate: what an engine must keep to be shipped. Presets are data (``gates/*.toml``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator, Mapping

from ..errors import InputError
from ..files import read_toml
from .compare import Accuracy, Stratum
from .sqnr import CEILING_DB

NONE = "none"
_FOLDER = Path(__file__).parent / "gates"
FEWEST_IMAGES = 20
FEWEST_IN_STRATUM = 10
WORST_DROP = "worst image's drop"
_ROUNDING = 1e-12  # 0.90 - 0.85 is 0.05 and a hair in binary; a bar met exactly is met

PARITY_DB: Mapping[str, float] = {"fp32": 60.0, "int8": 30.0, "bf16": 20.0, "fp16": 20.0, "mixed": 30.0}
"""Least SQNR, in decibels, against ONNX Runtime on the same graph, by precision; the rest's precision counts too."""

PARITY_FLOOR_DB: Mapping[str, float] = {"fp32": 40.0, "int8": 20.0, "bf16": 20.0, "fp16": 20.0, "mixed": 20.0}
"""What no excuse goes below: a graph in a dialect that its compiler misreads comes out at 10 to 20 dB."""

ADDED_NOISE_DB = 3.0
"""Below its bar an engine may add half the noise that quantizing the graph made, or twice what another executor of the
same graph adds."""

SAME_LOSS_DB = 0.5
"""An engine that is as near to the float source as its graph is, to so much, has lost nothing in being compiled: its
rounding fell otherwise, as it does through many normalisations, and may differ from the graph's by the graph's own
noise."""

# TOML table and key to the field of Gate. Drops may be written with or without their minus sign.
_KEYS: Mapping[tuple[str, str], str] = {
    ("dice", "retained"): "dice_retained",
    ("dice", "drop_bound"): "dice_drop_bound",
    ("iou", "retained"): "iou_retained",
    ("image", "worst_drop"): "worst_drop",
    ("agreement", "min"): "agreement",
    ("strata", "retained"): "strata_retained",
    ("class", "retained"): "class_retained",
}


@dataclass(frozen=True)
class Gate:
    """Bars; None means that this is not asked.

    Attributes:
        name: preset or file name.
        dice_retained, iou_retained: least engine / reference of the means.
        dice_drop_bound: the one-sided 95 % lower bound of the mean Dice difference must lie above minus this (>= 0).
        worst_drop: no image may lose more Dice than this.
        agreement: least mean Dice of the engine's masks against the reference's.
        strata_retained: least Dice retained in every stratum of ten images or more; where strata are asked for and
            this is None, ``dice_retained`` holds in each of them.
        class_retained: least Dice retained by every foreground class.
    """

    name: str
    dice_retained: float | None = None
    dice_drop_bound: float | None = None
    iou_retained: float | None = None
    worst_drop: float | None = None
    agreement: float | None = None
    strata_retained: float | None = None
    class_retained: float | None = None


@dataclass(frozen=True)
class Criteria:
    """A gate and the columns it is applied with.

    Attributes:
        gate: None asks for parity only.
        strata: manifest column judged apart.
        group: manifest column whose rows are resampled together; None looks for a patient, slide or sequence.

    Raises:
        InputError: the gate asks for strata, and there is no column to take them from.
    """

    gate: Gate | None
    strata: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if self.gate is not None and self.gate.strata_retained is not None and self.strata is None:
            raise InputError(f"gate {self.gate.name}: asks for [strata] retained; name their column with --strata")


@dataclass(frozen=True)
class Check:
    """One question of the gate and its answer."""

    criterion: str
    value: float
    bar: float
    passed: bool

    @property
    def at_most(self) -> bool:
        """Whether the value has to stay below the bar; all others have to reach it."""
        return self.criterion == WORST_DROP

    @property
    def margin(self) -> float:
        """From the value to the bar, positive inside."""
        return self.bar - self.value if self.at_most else self.value - self.bar


@dataclass(frozen=True)
class Verdict:
    """Whether an engine may ship.

    Attributes:
        preset: the gate's name.
        passed: every check passed.
        reasons: one sentence for each that did not.
        checks: all of them.
    """

    preset: str
    passed: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...] = ()


def presets() -> tuple[str, ...]:
    """Names of the gates that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_gate(spec: str) -> Gate | None:
    """``none``, a preset's name, or a TOML file.

    Raises:
        InputError: no such preset or file, an unknown key, or a value out of range.
    """
    if spec == NONE:
        return None
    if spec in presets():
        return replace(_read(_FOLDER / f"{spec}.toml"), name=spec)
    if not spec.endswith(".toml"):
        raise InputError(f"--gate {spec}: unknown; give none, {', '.join(presets())} or a FILE.toml")
    return _read(Path(spec))


def require_enough(gate: Gate | None, images: int, allow_small: bool = False) -> None:
    """Refuse a verdict on fewer than 20 images, before any time is spent.

    Raises:
        InputError: too few, and ``allow_small`` was not given.
    """
    if gate is not None and images < FEWEST_IMAGES and not allow_small:
        raise InputError(
            f"{images} images are too few for gate {gate.name} (at least {FEWEST_IMAGES}); add images, "
            "or accept the weaker evidence with --allow-small"
        )


def judge(
    gate: Gate | None, accuracy: Accuracy, precision: str, rest: str = "fp32", allow_small: bool = False
) -> Verdict:
    """Apply the gate, and the parity rule, which holds under every gate.

    Args:
        gate: None asks for parity only.
        accuracy: from :func:`edge.accuracy.compare.compare`.
        precision, rest: the engine's, see :class:`edge.backends.engine.Candidate`.
        allow_small: judge on fewer than 20 images.

    Raises:
        InputError: fewer than 20 images.
    """
    require_enough(gate, accuracy.images, allow_small)
    answers = [*_soundness(accuracy, precision, rest), *(_questions(gate, accuracy) if gate else ())]
    reasons = tuple(sentence for check, sentence in answers if not check.passed)
    return Verdict(gate.name if gate else NONE, not reasons, reasons, tuple(check for check, _ in answers))


def parity_bar(precision: str, rest: str = "fp32") -> float:
    """Least parity in decibels: the lower bar of the two precisions in the engine."""
    return min(PARITY_DB[precision], PARITY_DB[rest])


def _soundness(accuracy: Accuracy, precision: str, rest: str) -> Iterator[tuple[Check, str]]:
    finite = accuracy.sqnr_db > -CEILING_DB
    yield (
        Check("finite outputs", float(finite), 1.0, finite),
        "outputs hold NaN or infinity, or answer a silent reference: the engine is wrong",
    )
    if accuracy.parity_db is not None:
        bar = parity_needed(precision, rest, accuracy.graph_db, accuracy.second_db, accuracy.source_db)
        yield (
            Check("parity_db", accuracy.parity_db, bar, accuracy.parity_db >= bar),
            f"parity {accuracy.parity_db:.1f} dB is below {bar:.0f} dB: {_blame(accuracy, precision, rest)}",
        )


def parity_needed(
    precision: str,
    rest: str,
    graph_db: float | None = None,
    second_db: float | None = None,
    source_db: float | None = None,
) -> float:
    """Least parity of one engine: the bar of its precision, or less where the graph's own noise explains a miss.

    Outputs that rounding moves far are moved by any compiler's arithmetic too, and no image tells the two apart. So
    half the noise that quantization made may be added to it, or twice what a second executor adds to the very same
    graph; never more than :data:`PARITY_FLOOR_DB` allows.

    Args:
        precision, rest: the engine's.
        graph_db: its graph against the float source; None where that was not measured.
        second_db: parity of another executor of that graph, likewise.
        source_db: the engine against the float source, likewise.
    """
    floor = min(PARITY_FLOOR_DB[precision], PARITY_FLOOR_DB[rest])
    needed = parity_bar(precision, rest)
    if graph_db is not None:
        kept = source_db is not None and source_db >= graph_db - SAME_LOSS_DB
        needed = min(needed, graph_db if kept else graph_db + ADDED_NOISE_DB)
    if second_db is not None:
        needed = min(needed, second_db - ADDED_NOISE_DB)
    return max(needed, floor)


def _blame(accuracy: Accuracy, precision: str, rest: str) -> str:
    """Who is at fault, as far as a second executor of the same graph can tell."""
    second, changed = accuracy.second_db, "the compiler changed the graph's meaning"
    if second is None:
        return changed
    if second >= parity_bar(precision, rest):
        return f"{changed} (ONNX Runtime's optimizer keeps it: {second:.1f} dB)"
    return (
        f"this graph's numbers hang on the order of rounding (ONNX Runtime's optimizer comes to {second:.1f} dB), so "
        "no compiler can be shown to keep them; choose another precision"
    )


def _questions(gate: Gate, accuracy: Accuracy) -> Iterator[tuple[Check, str]]:
    dice, iou = accuracy.dice, accuracy.iou
    reference = dice.mean - dice.difference
    if reference <= _ROUNDING:
        yield (
            Check("reference dice", 0.0, 0.0, False),
            "the reference itself scores Dice 0, so nothing can be retained: check weights, task and masks",
        )
    if gate.dice_retained is not None:
        yield _at_least("Dice retained", dice.retained, gate.dice_retained)
    if gate.dice_drop_bound is not None:
        bound, low = -gate.dice_drop_bound, dice.lower_bound
        yield (
            Check("Dice difference, lower bound", low, bound, low > bound or low == bound == 0.0),
            f"Dice may have dropped by {-low:.4f} (one-sided 95 % bound), more than {-bound:g} allowed",
        )
        if accuracy.units < 2 and accuracy.images >= FEWEST_IMAGES:
            yield (
                Check("units of the bound", float(accuracy.units), 2.0, False),
                f"all {accuracy.images} images are of one {accuracy.resampled_by}, so no bound can be drawn from them; "
                "add others, or resample by another column with --group",
            )
    if gate.iou_retained is not None:
        yield _at_least("IoU retained", iou.retained, gate.iou_retained)
    if gate.worst_drop is not None:
        drop = accuracy.worst_drop
        name = accuracy.worst[0].image if accuracy.worst else "an image"
        yield (
            Check(WORST_DROP, drop, gate.worst_drop, drop <= gate.worst_drop + _ROUNDING),
            f"image {name} loses {drop:.4f} Dice, more than {gate.worst_drop:g} allowed",
        )
    if gate.agreement is not None:
        yield _at_least("agreement with the reference's masks", accuracy.agreement, gate.agreement)
    if gate.strata_retained is not None and not accuracy.strata:
        yield (
            Check("strata", 0.0, 1.0, False),
            "the gate asks for strata, which these images do not have; verify on the bundle's own images",
        )
    if gate.class_retained is not None:
        for each in accuracy.classes:
            yield _at_least(f"Dice retained of class {each.name}", each.retained, gate.class_retained)
    bar = gate.strata_retained if gate.strata_retained is not None else gate.dice_retained
    if bar is not None:
        for stratum in accuracy.strata:
            if stratum.images >= FEWEST_IN_STRATUM:
                yield _at_least(_title(accuracy, stratum), stratum.retained, bar)


def _title(accuracy: Accuracy, stratum: Stratum) -> str:
    return f"Dice retained where {accuracy.strata_column} is {stratum.name} ({stratum.images} images)"


def _at_least(criterion: str, value: float, bar: float) -> tuple[Check, str]:
    return Check(criterion, value, bar, value >= bar - _ROUNDING), f"{criterion} {value:.5f} is below {bar:g}"


def _read(path: Path) -> Gate:
    bars: dict[str, float] = {}
    for table, rows in read_toml(path).items():
        if not isinstance(rows, dict):
            raise InputError(f"{path}: {table!r} is not a table; known keys are {_known()}")
        for key, value in rows.items():
            if (table, key) not in _KEYS:
                raise InputError(f"{path}: unknown key [{table}] {key}; known keys are {_known()}")
            bars[_KEYS[table, key]] = _fraction(path, f"[{table}] {key}", value)
    if not bars:
        raise InputError(f"{path}: asks for nothing; set one of {_known()}, or use --gate none")
    return Gate(name=path.name, **bars)


def _fraction(path: Path, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1:
        raise InputError(f"{path}: {key} = {value!r} is not a number between 0 and 1; correct it")
    if value < 0 and "drop" not in key:
        raise InputError(f"{path}: {key} = {value!r} must not be negative; correct it")
    return abs(float(value))


def _known() -> str:
    return ", ".join(f"[{table}] {key}" for table, key in _KEYS)
