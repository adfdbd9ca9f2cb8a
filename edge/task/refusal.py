"""No value is lost in silence: an image that holds what its task does not speak of, and the line that would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .channels import depths, expected
from .intensity import Intensity
from .statistics import Statistics

if TYPE_CHECKING:
    from typing import Sequence

    from .plane import Plane
    from .statistics import Pair
    from .task import SegmentationTask


def require_spoken_of(plane: Plane, task: SegmentationTask) -> None:
    """Refuse values that the task would have to guess at.

    Raises:
        InputError: the file, what it holds, and the line to paste into the task.
    """
    if plane.values.dtype == np.float32 and not np.isfinite(plane.values).all():
        count = int(plane.values.size - np.isfinite(plane.values).sum())
        raise InputError(f"{plane.where}: {count} of its values are NaN or infinite; give each a value, such as -1000")
    allowed = expected(task.channels)
    if allowed and plane.channels not in allowed:
        raise InputError(_channels(plane, task))
    if not allowed and plane.channels <= max(int(name) for name in task.channels):
        raise InputError(f"{plane.where}: holds {plane.channels} channels, but the task picks {list(task.channels)}")
    if task.eight_bit and plane.values.dtype != np.uint8:
        raise InputError(
            f"{plane.where}: holds {plane.holds}, but its task knows 8-bit values only; {paste(plane, task.normalize)}"
        )
    beyond = _beyond_bytes(task)
    if beyond and plane.values.dtype == np.uint8:
        raise InputError(
            f"{plane.where}: holds {plane.holds}, but its task reads values from {beyond[0]:g} to {beyond[1]:g}, which "
            "8 bits do not hold; give the image with its own values, or set [task.intensity] as in training"
        )
    if task.channels == "grey" and plane.channels == 3 and plane.values.dtype == np.float32:
        raise InputError(f'{plane.where}: holds float32 colours, which have no luma; add channels = "rgb" to [task]')


def _beyond_bytes(task: SegmentationTask) -> Pair | None:
    """An interval that the task reads of which 0 to 255 fill less than half: 8-bit values would be all but one there.

    Figures of 8-bit images never give one: of any mean and deviation within 0 to 255, two deviations either way lie in
    there by half. Figures that are taken of the image itself make up for its depth.
    """
    return next((one for one in _reads(task) if 2.0 * (min(one[1], 255.0) - max(one[0], 0.0)) < one[1] - one[0]), None)


def _reads(task: SegmentationTask) -> Sequence[Pair]:
    """Low and high of the values that the task expects, one pair or one per channel; none where the image says them."""
    intensity = task.intensity or Intensity()
    learned = intensity.learned or Statistics()
    if task.normalize != "fixed" and intensity.scope != "set":
        return ()
    if intensity.limits is not None:
        return (intensity.limits,)
    if intensity.percentile is not None:
        return learned.levels
    if task.normalize == "minmax":
        return learned.spread
    if task.normalize == "zscore":
        return [_around(mean, deviation) for mean, deviation in learned.spread]
    if task.scale <= 2.0 * 255.0:  # figures of a framework that has its own idea of 8 bits
        return ()
    count = max(len(task.mean), len(task.std))
    means, deviations = (v if len(v) == count else v * count for v in (task.mean, task.std))
    spans = [_around(task.scale * mean, task.scale * abs(each)) for mean, each in zip(means, deviations)]
    return [(max(low, 0.0), min(high, task.scale)) for low, high in spans]


def _around(mean: float, deviation: float) -> Pair:
    return mean - 2.0 * deviation, mean + 2.0 * deviation


def usual_range(low: float, high: float, bits: int | None = None) -> tuple[float, float]:
    """The range of a detector whose levels lie in ``low`` to ``high``.

    Of so many bits where they are said, else of the narrowest of 8, 10, 12, 14 and 16 that holds them; the two levels
    themselves where one is negative or larger.
    """
    if bits is None:
        bits = next((usual for usual in (8, 10, 12, 14, 16) if high < 1 << usual), None)
    if low < 0.0 or bits is None:
        return low, high
    return 0.0, float((1 << bits) - 1)


def paste(plane: Plane, normalize: str = "fixed") -> str:
    """The lines that speak of what a plane holds, for a task that normalizes so."""
    low, high = float(plane.values.min()), float(plane.values.max())
    if plane.values.dtype.kind in "iu":
        said = plane.bits_stored
        low, high = usual_range(low, high, said if said != 8 * plane.values.dtype.itemsize else None)
    if not low < high:
        high = low + 1.0
    limits = f"range = [{low:g}, {high:g}] (or window = {{ center = 40, width = 400 }} for CT)"
    if normalize == "fixed":
        return f"add to its task: [task.intensity] {limits}, as in training"
    return (
        f'add to its task: [task.intensity] scope = "image" ({normalize} of the values as they are), or {limits} where '
        "values were cut off before it, as in training"
    )


def _channels(plane: Plane, task: SegmentationTask) -> str:
    said = f"{plane.where}: holds {plane.channels} channel{'s' if plane.channels > 1 else ''} ({plane.holds})"
    if isinstance(task.channels, str):
        names: list[str] = [f'"c{index}"' for index in range(plane.channels)]
        return (
            f'{said}, but the task says channels = "{task.channels}"; name them in the order of the network, as in '
            f"channels = [{', '.join(names)}]"
        )
    wanted = f"{len(task.channels)} ({', '.join(map(str, task.channels))})"
    if depths(task.channels) is not None:
        return f"{said}, but the task wants slices {wanted}; give a volume"
    return f"{said}, but the task names {wanted}; name one for each, or pick them by number"
