"""``data/reference.json``: what the C++ runtime proves an engine against (schema ``segedge.reference/1``).

Pixels are not stored twice: an entry points at their bytes inside ``images.npz``, which is not compressed. Labels are
the float network's own masks at each image's own size, one after the other in ``reference.labels``.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.device.pictures import EXPECTED, IMAGES, image_names
from edge.files import sha256_bytes
from edge.task.task import SegmentationTask

SCHEMA = "segedge.reference/1"
LABELS = "data/reference.labels"
_LOCAL_HEADER = 30
"""Bytes of a ZIP member's local header before its name and extra field (APPNOTE 4.3.7)."""


def expected_files(
    images: bytes,
    pixels: NDArray[np.uint8],
    outputs: NDArray[np.float32],
    shapes: Sequence[tuple[int, int]],
    task: SegmentationTask,
) -> dict[str, bytes]:
    """The two files.

    Args:
        images: ``images.npz`` as it is packed, with the one array ``pixels``.
        pixels: that array, ``[n, height, width, channels]`` uint8 at the network's size.
        outputs: the float network's, ``[n, maps, height, width]``.
        shapes: height and width of each image's mask.
        task: decides what the outputs mean.
    """
    start, step = _start(images, "pixels", pixels), pixels[0].nbytes
    labels = [task.labels(output, shape) for output, shape in zip(outputs, shapes, strict=True)]
    ends = np.cumsum([0, *(array.size for array in labels)]).tolist()
    order = {"order": "bgr"} if task.channels == "bgr" else {}
    rows: list[Mapping[str, Any]] = [
        {
            "name": name,
            "height": image.shape[0],
            "width": image.shape[1],
            "channels": image.shape[2],
            "pixels": {**_range(IMAGES, start + index * step, image), **order},
            "labels": {**_range(LABELS, ends[index], mask), "height": mask.shape[0], "width": mask.shape[1]},
        }
        for index, (name, image, mask) in enumerate(zip(image_names(len(pixels)), pixels, labels, strict=True))
    ]
    table = json.dumps({"schema": SCHEMA, "images": rows}, indent=1) + "\n"
    return {EXPECTED: table.encode(), LABELS: b"".join(mask.tobytes() for mask in labels)}


def _range(file: str, offset: int, array: NDArray[np.uint8]) -> dict[str, Any]:
    return {"file": file.rpartition("/")[2], "offset": offset, "sha256": sha256_bytes(array.tobytes())}


def _start(archive: bytes, name: str, array: NDArray[Any]) -> int:
    """Where the values of an array begin in an ``.npz`` that is not compressed: they are the end of its member."""
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        info = members.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed, so its bytes cannot be pointed at")
    head = archive[info.header_offset : info.header_offset + _LOCAL_HEADER]
    data = info.header_offset + _LOCAL_HEADER + int.from_bytes(head[26:28], "little")
    return data + int.from_bytes(head[28:30], "little") + info.file_size - array.nbytes
