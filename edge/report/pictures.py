"""Pictures with masks drawn on them, ready for a page: the image once, every outline as a path over it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.report.contours import count_edges, outline, path
from edge.report.details import Labels, Picture
from edge.report.results import ImageScores, Report
from edge.task.resample import nearest

LONGEST_SIDE = 512
MOST_PICTURES = 9
MOST_GAINED = 2  # of those
BUDGET_BYTES = 3_000_000  # of all pictures together; the page stays under 5 MB
_SMALLEST_SIDE = 128
_BYTES_PER_EDGE = 4


@dataclass(frozen=True)
class Drawn:
    """What one engine made of an image.

    Attributes:
        engine: its name.
        outline: SVG path around its masks.
        gained, lost: SVG paths over pixels that only the engine, or only the float model, calls that class.
        changed: pixels of another class than the float model's, as drawn.
        dice: of this image; None where it is not known.
    """

    engine: str
    outline: str
    gained: str
    lost: str
    changed: int
    dice: float | None


@dataclass(frozen=True)
class Plate:
    """One picture of the page.

    Attributes:
        anchor: id in the page.
        name: the image's.
        width, height: of the drawing, in pixels; ``scale`` is that over the image's own size.
        data: ``data:`` URI of the image.
        truth, reference: SVG paths.
        reference_dice: of the float model; None where it is not known.
        engines: one for each.
        gained: shown for what an engine gained on it, rather than lost.
    """

    anchor: str
    name: str
    width: int
    height: int
    scale: float
    data: str
    truth: str
    reference: str
    reference_dice: float | None
    engines: tuple[Drawn, ...]
    gained: bool = False


def plates(report: Report, pictures: Sequence[Picture], budget: int = BUDGET_BYTES) -> tuple[Plate, ...]:
    """Draw what lost most, then what gained most, at a size that keeps all within the budget (bytes in the page)."""
    gained = [picture for picture in pictures if picture.gained][:MOST_GAINED]
    lost = [picture for picture in pictures if not picture.gained][: MOST_PICTURES - len(gained)]
    chosen, side = [*lost, *gained], LONGEST_SIDE
    shrunk = [_shrunk(picture, side) for picture in chosen]
    while side > _SMALLEST_SIDE and sum(_weight(picture) for picture, _ in shrunk) > budget:
        side = max(_SMALLEST_SIDE, int(side * 0.75))
        shrunk = [_shrunk(picture, side) for picture in chosen]
    return tuple(
        _plate(picture, scale, f"image-{index}", report.images)
        for index, (picture, scale) in enumerate(shrunk, start=1)
    )


def _weight(picture: Picture) -> int:
    """Bytes in the page, about: what is drawn is known only afterwards, and tracing is what takes long."""
    masks = [picture.truth, picture.reference, *picture.engines.values()]
    changes = [(labels != picture.reference).astype(np.uint8) for labels in picture.engines.values()]
    edges = sum(count_edges(labels) for labels in masks + changes)
    return len(_data_uri(picture.pixels)) + _BYTES_PER_EDGE * edges


def _plate(small: Picture, scale: float, anchor: str, scores: ImageScores | None) -> Plate:
    index = scores.names.index(small.name) if scores and small.name in scores.names else None
    engines = []
    for name, labels in small.engines.items():
        changed = labels != small.reference
        known = scores is not None and index is not None and name in scores.engines
        engines.append(
            Drawn(
                engine=name,
                outline=outline(labels),
                gained=path(changed & (labels > 0)),
                lost=path(changed & (labels == 0)),
                changed=int(changed.sum()),
                dice=scores.engines[name][index] if known and scores and index is not None else None,
            )
        )
    height, width = small.truth.shape
    return Plate(
        anchor=anchor,
        name=small.name,
        width=width,
        height=height,
        scale=scale,
        data=_data_uri(small.pixels),
        truth=outline(small.truth),
        reference=outline(small.reference),
        reference_dice=scores.reference[index] if scores and index is not None else None,
        engines=tuple(engines),
        gained=small.gained,
    )


def _shrunk(picture: Picture, side: int) -> tuple[Picture, float]:
    height, width = picture.truth.shape
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return picture, 1.0
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))

    def shrink(labels: Labels) -> Labels:
        return nearest(labels, shape)

    pixels = np.asarray(Image.fromarray(picture.pixels).resize(shape[::-1], Image.Resampling.LANCZOS), np.uint8)
    engines = {name: shrink(labels) for name, labels in picture.engines.items()}
    return replace(
        picture, pixels=pixels, truth=shrink(picture.truth), reference=shrink(picture.reference), engines=engines
    ), scale


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    """PNG where that is small (most microscopy of this size), else JPEG of high quality."""
    image = Image.fromarray(pixels)
    png = _encoded(image, "PNG")
    if len(png) <= 120_000:
        return f"data:image/png;base64,{base64.b64encode(png).decode()}"
    jpeg = _encoded(image, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _encoded(image: Image.Image, kind: str, quality: int = 75) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, quality=quality)
    return stream.getvalue()
