"""The gate on the device: the same questions, sentences and parity bars as on the workstation."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ..errors import InputError
from .scores import CEILING_DB

FEWEST_IMAGES = 20
_FEWEST_IN_STRATUM = 10
_ROUNDING = 1e-12
PARITY_DB: Mapping[str, float] = {"fp32": 60.0, "int8": 30.0, "bf16": 20.0, "fp16": 20.0, "mixed": 30.0}


def require_enough(gate: Mapping[str, Any] | None, images: int, allow_small: bool = False) -> None:
    """Refuse a verdict on fewer than 20 images.

    Raises:
        InputError: too few, and ``allow_small`` was not given.
    """
    if gate is not None and images < FEWEST_IMAGES and not allow_small:
        raise InputError(
            f"{images} images are too few for gate {gate['name']} (at least {FEWEST_IMAGES}); add images, "
            "or accept the weaker evidence with --allow-small"
        )


def judge(gate: Mapping[str, Any] | None, accuracy: Mapping[str, Any], precision: str, rest: str) -> dict[str, Any]:
    """The ``gate`` entry of a report's engine.

    Args:
        gate: ``name`` and bars, keys as in SegEdge's ``Gate``; None asks for soundness and parity only.
        accuracy: from :func:`.scores.compare`.
        precision, rest: the engine's.
    """
    answers = list(_soundness(accuracy, precision, rest))
    if gate is not None:
        answers += _questions(gate, accuracy)
    reasons = [sentence for check, sentence in answers if not check["passed"]]
    return {
        "preset": gate["name"] if gate else "none",
        "passed": not reasons,
        "reasons": reasons,
        "checks": [check for check, _ in answers],
    }


def _soundness(accuracy: Mapping[str, Any], precision: str, rest: str) -> Iterator[Any]:
    finite = accuracy["sqnr_db"] > -CEILING_DB
    yield (
        _check("finite outputs", float(finite), 1.0, finite),
        "outputs hold NaN or infinity, or answer a silent reference: the engine is wrong",
    )
    parity = accuracy["parity_db"]
    if parity is not None:
        bar = min(PARITY_DB[precision], PARITY_DB[rest])
        yield (
            _check("parity_db", parity, bar, parity >= bar),
            f"parity {parity:.1f} dB is below {bar:.0f} dB: the compiler changed the graph's meaning",
        )


def _questions(gate: Mapping[str, Any], accuracy: Mapping[str, Any]) -> Iterator[Any]:
    dice, iou = accuracy["dice"], accuracy["iou"]
    if dice["mean"] - dice["difference"] <= _ROUNDING:
        yield (
            _check("reference dice", 0.0, 0.0, False),
            "the reference itself scores Dice 0, so nothing can be retained: check weights, task and masks",
        )
    if gate.get("dice_retained") is not None:
        yield _at_least("Dice retained", dice["retained"], gate["dice_retained"])
    if gate.get("dice_drop_bound") is not None:
        bound, low = -gate["dice_drop_bound"], dice["lower_bound"]
        yield (
            _check("Dice difference, lower bound", low, bound, low > bound or low == bound == 0.0),
            f"Dice may have dropped by {-low:.4f} (one-sided 95 % bound), more than {-bound:g} allowed",
        )
        units, images = accuracy["units"], accuracy["images"]
        if units < 2 and images >= FEWEST_IMAGES:
            yield (
                _check("units of the bound", units, 2.0, False),
                f"all {images} images are of one {accuracy['resampled_by']}, so no bound can be drawn from them; "
                "add others, or resample by another column with --group",
            )
    if gate.get("iou_retained") is not None:
        yield _at_least("IoU retained", iou["retained"], gate["iou_retained"])
    if gate.get("worst_drop") is not None:
        drop, bar = accuracy["worst_drop"], gate["worst_drop"]
        name = accuracy["worst"][0]["image"] if accuracy["worst"] else "an image"
        yield (
            _check("worst image's drop", drop, bar, drop <= bar + _ROUNDING),
            f"image {name} loses {drop:.4f} Dice, more than {bar:g} allowed",
        )
    if gate.get("agreement") is not None:
        yield _at_least("agreement with the reference's masks", accuracy["agreement"], gate["agreement"])
    retained = gate.get("strata_retained")
    if retained is not None and not accuracy["strata"]:
        yield (
            _check("strata", 0.0, 1.0, False),
            "the gate asks for strata, which these images do not have; verify on the bundle's own images",
        )
    retained = retained if retained is not None else gate.get("dice_retained")
    if retained is not None:
        for s in accuracy["strata"]:
            if s["images"] >= _FEWEST_IN_STRATUM:
                title = f"Dice retained where {accuracy['strata_column']} is {s['name']} ({s['images']} images)"
                yield _at_least(title, s["retained"], retained)


def _at_least(criterion: str, value: float, bar: float) -> Any:
    return _check(criterion, value, bar, value >= bar - _ROUNDING), f"{criterion} {value:.5f} is below {bar:g}"


def _check(criterion: str, value: float, bar: float, passed: bool) -> dict[str, Any]:
    return {"criterion": criterion, "value": float(value), "bar": float(bar), "passed": bool(passed)}
