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
    images: bytes, arrays: Mapping[str, NDArray[Any]], labels: Sequence[NDArray[np.uint8]], task: SegmentationTask
) -> dict[str, bytes]:
    """Both files by path: where each image's pixels lie, and the labels.

    Args:
        images: ``images.npz`` as it is packed.
        arrays: what it holds: ``pixels``, ``[n, height, width, channels]`` uint8 at the network's size, or an array
            ``[h, w, channels]`` for each image, as decoded.
        labels: the float network's, at each image's own size.
        task: whose order the channels of ``pixels`` have.
    """
    placed = "pixels" in arrays
    order = {"order": "bgr"} if placed and task.channels == "bgr" else {}
    values = list(arrays["pixels"]) if placed else list(arrays.values())
    if placed:
        start = _start(images, "pixels", arrays["pixels"])
        starts = [start + index * values[0].nbytes for index in range(len(values))]
    else:
        starts = [_start(images, name, array) for name, array in arrays.items()]
    ends = np.cumsum([0, *(array.size for array in labels)]).tolist()
    rows: list[Mapping[str, Any]] = [
        {
            "name": name,
            "height": image.shape[0],
            "width": image.shape[1],
            "channels": image.shape[2],
            "pixels": {**_range(IMAGES, start, image), **_type(image), **order},
            "labels": {**_range(LABELS, end, mask), "height": mask.shape[-2], "width": mask.shape[-1], **_maps(mask)},
        }
        for name, image, start, mask, end in zip(
            image_names(len(values)), values, starts, labels, ends[:-1], strict=True
        )
    ]
    table = json.dumps({"schema": SCHEMA, "images": rows}, indent=1) + "\n"
    return {EXPECTED: table.encode(), LABELS: b"".join(mask.tobytes() for mask in labels)}


def _type(image: NDArray[Any]) -> dict[str, str]:
    return {} if image.dtype == np.uint8 else {"dtype": image.dtype.name}


def _maps(mask: NDArray[np.uint8]) -> dict[str, int]:
    """How many maps there are, where labels overlap."""
    return {"maps": mask.shape[0]} if mask.ndim == 3 else {}


def _range(file: str, offset: int, array: NDArray[Any]) -> dict[str, Any]:
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
