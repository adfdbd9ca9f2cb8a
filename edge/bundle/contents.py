"""What goes into a bundle besides graphs: images, masks, references, probes, the device's Python, the C++ sources."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.compare import find_group
from edge.backends.onnxruntime import reference as exact_runner
from edge.bundle.expected import expected_files
from edge.device.pictures import IMAGES, MASKS, PROBES, REFERENCE, label_names, plane_names, travels_whole
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.task.plane import Plane
from edge.task.task import SegmentationTask

MOST_IMAGES = 128
PARITY_IMAGES = 12
PROBE_COUNT = 8
_PROBE_SEED = 7
_RUNTIME = "runtime"
_RUNTIME_SKIPPED = ("tests", "build")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

Files = dict[str, bytes]
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
ParityInputs = Mapping[int, NDArray[np.float32]]
"""Number of an image to ``[channels, height, width]``, as the network takes it."""


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An ``.npz`` whose bytes depend on nothing but the arrays. Not compressed: the archive is."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME), member.getvalue())
    return stream.getvalue()


def image_files(
    images: ImageSet,
    names: Sequence[str],
    outputs: NDArray[np.float32],
    task: SegmentationTask,
    strata: str | None,
    group: str | None,
    run: Run | None = None,
) -> tuple[Files, dict[str, Any], ParityInputs]:
    """Images, masks at their own size, and what the float network makes of them.

    Args:
        images: what the run was scored on.
        names, outputs: of the run's reference, in the same order.
        task: says what of an image travels, see :func:`edge.device.pictures.travels_whole`.
        strata, group: manifest columns that the run was judged and resampled by.
        run: the float network, ``[n, channels, height, width]`` to its outputs; only images in tiles need it.

    Returns:
        The files, the ``data`` entry of the manifest, and what parity is measured on. File names of images are nowhere
        in any of them.
    """
    chosen = images.spread(MOST_IMAGES)
    filled = {name for sample in images for name, value in sample.columns.items() if value}
    index = {name: i for i, name in enumerate(names)}
    pairs = [sample.pair(task) for sample in chosen]
    planes = [plane for plane, _ in pairs]
    masks = {f"mask-{i:04d}": mask for i, (_, mask) in enumerate(pairs)}
    references: dict[str, NDArray[Any]] = {"outputs": outputs[[index[sample.name] for sample in chosen]]}
    if task.fit == "tile":
        assert run is not None
        labels = [task.segment(run, plane) for plane in planes]
        references.update(zip(label_names(len(labels)), labels, strict=True))
    else:
        labels = [task.labels(o, m.shape[-2:]) for o, m in zip(references["outputs"], masks.values(), strict=True)]
    arrays = _travelling(planes, task)
    packed = npz(arrays)
    made = {
        IMAGES: packed,
        MASKS: npz(masks),
        REFERENCE: npz(references),
        **expected_files(packed, arrays, labels, task),
    }
    data = {
        "name": f"{len(chosen)} bundled images",
        "images": len(chosen),
        "sha256": chosen.sha256(),
        "strata": _column(chosen, strata),
        "groups": _groups(chosen, group or find_group(filled, strata)),
    }
    if any(plane.statistics is not None for plane in planes):
        data["figures"] = [_figures(plane) for plane in planes]
    return made, data, {i: task.preprocess(planes[i]) for i in _spread(len(planes))}


def _travelling(planes: Sequence[Plane], task: SegmentationTask) -> dict[str, NDArray[Any]]:
    if not travels_whole(task):
        return {"pixels": np.stack([task.resized(plane) for plane in planes])}
    whole = (plane.values if plane.values.ndim == 3 else plane.values[..., None] for plane in planes)
    return dict(zip(plane_names(len(planes)), whole, strict=True))


def _figures(plane: Plane) -> list[Any] | None:
    """What a volume says of itself: levels and spread."""
    found = plane.statistics
    return None if found is None else [list(map(list, found.levels)), list(map(list, found.spread))]


def _spread(count: int) -> list[int]:
    """Which images parity is measured on."""
    return np.unique(np.linspace(0, count - 1, min(PARITY_IMAGES, count)).round().astype(np.int64)).tolist()


def probe_files(task: SegmentationTask) -> tuple[Files, ParityInputs]:
    """Made-up images for parity where no real ones may travel: smooth seeded noise, no one's data.

    Returns:
        The file, and what parity is measured on.
    """
    generator = np.random.default_rng(_PROBE_SEED)
    height, width = task.size
    coarse = generator.integers(0, 256, (PROBE_COUNT, 8, 8, task.in_channels), np.uint8)
    fine = generator.integers(-12, 13, (PROBE_COUNT, height, width, task.in_channels))
    rows, columns = (np.arange(length) * 8 // length for length in (height, width))
    pixels = (coarse[:, rows[:, None], columns[None, :]].astype(np.int64) + fine).clip(0, 255).astype(np.uint8)
    seen: NDArray[Any] = pixels if task.in_levels else pixels.astype(np.float32) / np.float32(255.0)
    return {PROBES: npz({"pixels": seen})}, {i: task.normalized(seen[i]) for i in _spread(PROBE_COUNT)}


def parity_file(graph: Model, inputs: ParityInputs) -> bytes:
    """What ONNX Runtime, graph optimizations off, makes of a few of the images on this very graph."""
    runner = exact_runner(graph)
    outputs = [runner.run(image[None])[0] for image in inputs.values()]
    return npz({"indices": np.array(list(inputs), np.int64), "outputs": np.stack(outputs).astype(np.float32)})


def runtime_files() -> Files:
    """The C++ runtime's sources, from the installed package or the checkout, and the bundle's ``CMakeLists.txt``.

    Empty where neither has them.
    """
    package = Path(str(files("edge")))
    for folder in (package / "bundle" / _RUNTIME, package.parent / "export" / _RUNTIME):
        if (folder / "CMakeLists.txt").is_file():
            sources = {
                f"{_RUNTIME}/{path.relative_to(folder).as_posix()}": path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.is_file() and path.relative_to(folder).parts[0] not in _RUNTIME_SKIPPED
            }
            return {"CMakeLists.txt": sources[f"{_RUNTIME}/cmake/Bundle.cmake"], **sources}
    return {}


def _column(images: ImageSet, name: str | None) -> dict[str, Any] | None:
    if name is None or not any(sample.columns.get(name) for sample in images):
        return None
    return {"name": name, "values": [sample.columns.get(name) or "" for sample in images]}


def _groups(images: ImageSet, column: str | None) -> dict[str, Any] | None:
    """Which images belong together (one patient, one slide), by number: the names themselves stay here.

    An image of no group keeps its blank, and stands for itself on the device as it does here.
    """
    if column is None:
        return None
    values = [sample.columns.get(column) or "" for sample in images]
    numbers = {value: str(i) for i, value in enumerate(dict.fromkeys(filter(None, values)))}
    return {"name": column, "values": [numbers.get(value, "") for value in values]}
