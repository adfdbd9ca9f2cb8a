"""The images an engine is checked on: bundled ones, or a folder of the device's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence

import numpy as np

from ..accuracy.evaluate import Shown, shown_plane
from ..errors import InputError
from ..files import sha256_bytes
from ..safety.guard import own_pixel_limit, parsing, read_bytes, require_picture, require_pixels, require_regular
from ..safety.limits import limits
from ..storage.arrays import parse_array, read_arrays
from ..task.plane import Plane
from ..task.statistics import Statistics
from ..task.task import SegmentationTask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .manifest import Manifest

IMAGES, MASKS, REFERENCE, PROBES = "data/images.npz", "data/masks.npz", "data/reference.npz", "data/probes.npz"
EXPECTED = "data/reference.json"
"""For ``segedge-run verify``: where the pixels of each image and the float network's labels lie."""
_SUFFIXES = (".npy", ".pgm", ".ppm", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_REMEDY = "make the bundle again"
_NETPBM = re.compile(rb"(P[56])\s+(?:#[^\n]*\s+)*(\d+)\s+(?:#[^\n]*\s+)*(\d+)\s+(?:#[^\n]*\s+)*(\d+)\s")


@dataclass(frozen=True)
class Pictures:
    """Images ready for the network, with their truth.

    Attributes:
        names: ``image-001``, ...; never file names.
        planes: the images.
        placed: they are 8-bit levels at the network's size, in the task's order of channels; else they are as decoded,
            at their own size, and the task does the rest (see :func:`travels_whole`).
        masks: label maps at each image's own size; None where there are none.
        shapes: each image's own height and width.
        sha256: of all of it.
        strata, groups: column name and its value per image, or None.
        source: in words, for the report.
    """

    names: tuple[str, ...]
    planes: tuple[Plane, ...]
    placed: bool
    masks: tuple[NDArray[np.uint8], ...] | None
    shapes: tuple[tuple[int, int], ...]
    sha256: str
    strata: tuple[str, tuple[str, ...]] | None
    groups: tuple[str, tuple[str, ...]] | None
    source: str

    def __len__(self) -> int:
        return len(self.names)

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """Column name to its value per image."""
        return dict(column for column in (self.groups, self.strata) if column)

    def input(self, index: int, task: SegmentationTask) -> NDArray[np.float32]:
        """``[channels, height, width]``; of an image in tiles, its middle tile."""
        plane = self.planes[index]
        return task.normalized(plane.values) if self.placed else task.preprocess(plane)

    def inputs(self, task: SegmentationTask) -> Iterator[NDArray[np.float32]]:
        """One ``[1, channels, height, width]`` at a time, as :meth:`input`."""
        return (self.input(index, task)[None] for index in range(len(self)))

    def shown(self, task: SegmentationTask, truth: Sequence[NDArray[np.uint8]] | None) -> Iterator[Shown]:
        """Every image for an evaluation.

        Args:
            truth: masks to score against; None takes what the network finds for the truth.
        """
        for index, (name, plane, shape) in enumerate(zip(self.names, self.planes, self.shapes)):
            mask = None if truth is None else truth[index]
            if self.placed:
                decide = partial(_placed_labels, task, shape)
                yield Shown(name, name, self.input(index, task), decide, mask)
            else:
                yield shown_plane(plane, mask, task, name, name)


def _placed_labels(task: SegmentationTask, shape: tuple[int, int], run: Any, output: Any) -> NDArray[np.uint8]:
    return task.labels(output, shape)


def travels_whole(task: SegmentationTask) -> bool:
    """Whether a bundle's images travel as decoded, in their own type and size: where they are cut into tiles, or hold
    more than 8-bit levels. The others travel at the network's size, which is smaller as a rule."""
    return task.fit == "tile" or not task.in_levels


def bundled(folder: Path, manifest: Manifest) -> Pictures:
    """The images of a bundle whose files were checked."""
    data, whole = manifest.data, travels_whole(SegmentationTask.from_table(manifest.task, folder))
    count = int(data["images"])
    names = image_names(count)
    if whole:
        values = list(read_arrays(folder / IMAGES, plane_names(count), _REMEDY).values())
    else:
        pixels = read_arrays(folder / IMAGES, ("pixels",), _REMEDY)["pixels"]
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != count:
            raise InputError(f"{folder / IMAGES}: does not hold the images that the manifest lists; {_REMEDY}")
        values = list(pixels)
    with parsing(folder / IMAGES, "a sound set of images", _REMEDY):
        figures = data.get("figures") or [None] * count
        planes = tuple(_plane(v, name, f) for v, name, f in zip(values, names, figures))
    masks = tuple(read_arrays(folder / MASKS, [f"mask-{index:04d}" for index in range(count)], _REMEDY).values())
    if any(mask.dtype != np.uint8 or mask.ndim < 2 for mask in masks):
        raise InputError(f"{folder / MASKS}: holds something other than masks; {_REMEDY}")
    return Pictures(
        names=names,
        planes=planes,
        placed=not whole,
        masks=masks,
        shapes=tuple((m.shape[-2], m.shape[-1]) for m in masks),
        sha256=str(data["sha256"]),
        strata=_column(data.get("strata")),
        groups=_column(data.get("groups")),
        source=str(data["name"]),
    )


def plane_names(count: int) -> list[str]:
    """Arrays of images that travel whole."""
    return [f"plane-{index:04d}" for index in range(count)]


def label_names(count: int) -> list[str]:
    """Arrays of the float network's own masks, of images in tiles."""
    return [f"labels-{index:04d}" for index in range(count)]


def _plane(values: NDArray[Any], name: str, figures: Any) -> Plane:
    if figures is None:
        return Plane(values, None, name)
    levels, spread = (tuple((float(a), float(b)) for a, b in pairs) for pairs in figures)
    return Plane(values, None, name, volume=name, statistics=Statistics(levels, spread))


def bundled_reference(folder: Path) -> NDArray[np.float32]:
    """The float network's outputs on the bundled images, ``[n, maps, height, width]``."""
    outputs: NDArray[np.float32] = read_arrays(folder / REFERENCE, ("outputs",), _REMEDY)["outputs"]
    if outputs.dtype.kind != "f" or outputs.ndim < 4:
        raise InputError(f"{folder / REFERENCE}: holds something other than outputs; {_REMEDY}")
    return outputs


def bundled_labels(folder: Path, task: SegmentationTask, count: int) -> tuple[NDArray[np.uint8], ...] | None:
    """The float network's own masks of the bundled images, where outputs do not tell: of images in tiles."""
    if task.fit != "tile":
        return None
    return tuple(read_arrays(folder / REFERENCE, label_names(count), _REMEDY).values())


def supplied(folder: Path, task: SegmentationTask) -> Pictures:
    """Images of the device: ``FOLDER/images`` (or the folder itself), and ``FOLDER/masks`` of equal stems if any.

    ``.npy`` (uint8, ``[h, w]`` or ``[h, w, 3]``), ``.pgm`` and ``.ppm`` need nothing; other formats need Pillow, and
    are read as SegEdge reads them: upright by EXIF, palettes of masks as indices. Where the task speaks of more than
    8-bit levels, ``.npy`` of uint16, int16 or float32 (``[h, w, channels]``) and 16-bit grey are taken as they are.

    Raises:
        InputError: none there, one that does not read, or one that holds what the task does not speak of.
    """
    root = folder / "images" if (folder / "images").is_dir() else folder
    files = sorted(p for p in root.glob("*") if p.suffix.lower() in _SUFFIXES) if root.is_dir() else []
    if not files:
        raise InputError(f"{root}: holds no images ({', '.join(_SUFFIXES)}); give a folder that does")
    masks_of = {p.stem: p for p in (folder / "masks").glob("*") if p.suffix.lower() in _SUFFIXES}
    planes, masks, shapes, names = [], [], [], image_names(len(files))
    for file, name in zip(files, names):
        image = _image(file) if task.eight_bit else _values(file)
        shapes.append((image.shape[0], image.shape[1]))
        whole = Plane(image, None, name, str(file))
        planes.append(whole if travels_whole(task) else Plane(task.resized(whole), None, name, str(file)))
        if masks_of:
            masks.append(_mask(masks_of.get(file.stem), file, shapes[-1], task))
    digest = sha256_bytes(b"".join([p.values.tobytes() for p in planes] + [m.tobytes() for m in masks]))
    return Pictures(
        names=names,
        planes=tuple(planes),
        placed=not travels_whole(task),
        masks=tuple(masks) if masks_of else None,
        shapes=tuple(shapes),
        sha256=digest,
        strata=None,
        groups=None,
        source="images of the device",
    )


def image_names(count: int) -> tuple[str, ...]:
    """``image-001``, ...: file names of images never travel."""
    return tuple(f"image-{index:03d}" for index in range(1, count + 1))


def _column(table: Any) -> tuple[str, tuple[str, ...]] | None:
    return (str(table["name"]), tuple(map(str, table["values"]))) if table else None


def _mask(file: Path | None, image: Path, shape: tuple[int, int], task: SegmentationTask) -> NDArray[np.uint8]:
    if task.mask_values or task.ignore is not None or task.overlapping:
        raise InputError(
            f"{image}: its task has mask_values, ignore or overlapping labels, which masks on a device are not read "
            "by; leave masks/ out, or score on the workstation by edge check"
        )
    if file is None:
        raise InputError(f"{image}: has no mask of the same stem; add it, or leave masks/ out altogether")
    values = _levels(_read(file, _pillow_mask), file)
    if values.shape != shape:
        raise InputError(f"{file}: has another size than its image; make them the same")
    levels = np.unique(values)
    if task.maps <= 2:
        if len(levels[levels != 0]) > 1:
            raise InputError(f"{file}: {len(levels)} levels in the mask of a two-level task; make it 0 and another")
        return (values != 0).astype(np.uint8)
    if int(levels.max()) >= task.maps or int(levels.min()) < 0:
        raise InputError(f"{file}: class index {int(levels.max())}, but there are {task.maps} classes")
    return values.astype(np.uint8)


def _levels(values: NDArray[Any], file: Path) -> NDArray[np.int64]:
    """``[h, w]``: a colour that is not grey counts as one 24-bit level."""
    if values.dtype.kind not in "bui" or values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise InputError(f"{file}: is {values.dtype} {values.shape}; give whole numbers, [h, w]")
    wide = values.astype(np.int64)
    if wide.ndim == 2:
        return wide
    red, green, blue = (wide[..., channel] for channel in range(3))
    return red if (red == green).all() and (green == blue).all() else (red << 16) + (green << 8) + blue


def _image(file: Path) -> NDArray[np.uint8]:
    image = _read(file, _pillow_image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise InputError(f"{file}: is {image.dtype} {image.shape}; give uint8 [h, w] or [h, w, 3]")
    return image


def _values(file: Path) -> NDArray[Any]:
    """Of any type that a plane may have."""
    return _read(file, _pillow_values)


def _pillow_values(file: Path) -> Any:
    image = _decoded(file)
    if image.mode.startswith("I"):
        return _sixteen_bits(file, image, ".npy of float32").astype(np.uint16)
    if image.mode == "F":
        return np.asarray(image)
    return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))


def _sixteen_bits(file: Path, image: Any, remedy: str) -> NDArray[np.int64]:
    """Whole numbers of a picture that holds more than 8 bits, refused where they need more than 16."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise InputError(f"{file}: pixel values do not fit 16 bits; convert it to {remedy}")
    return values


def _read(file: Path, decode: Callable[[Path], Any]) -> NDArray[Any]:
    """By its format; ``decode`` is asked for what needs Pillow."""
    reader: Callable[[Path], Any] = {".npy": _npy, ".pgm": _netpbm, ".ppm": _netpbm}.get(file.suffix.lower(), decode)
    require_regular(file, "image")
    with parsing(file, "readable as an image", "replace or remove it"):
        return np.asarray(reader(file))


def _npy(file: Path) -> Any:
    return parse_array(read_bytes(file, "image", limits().inflated_bytes), file)


def _netpbm(file: Path) -> Any:
    data = read_bytes(file, "image", limits().inflated_bytes)
    match = _NETPBM.match(data)
    if match is None or int(match.group(4)) != 255:
        raise InputError(f"{file}: is no binary 8-bit PGM or PPM; convert it")
    planes = 3 if match.group(1) == b"P6" else 1
    width, height = int(match.group(2)), int(match.group(3))
    require_pixels(file, width, height)
    values = np.frombuffer(data, np.uint8, height * width * planes, match.end())
    return values.reshape(height, width, 3) if planes == 3 else values.reshape(height, width)


def _pillow_image(file: Path) -> Any:
    image = _decoded(file)
    if image.mode.startswith("I"):
        return ((_sixteen_bits(file, image, "8- or 16-bit grey") + 128) // 257).astype(np.uint8)
    if image.mode == "F":
        raise InputError(f"{file}: floating-point pixels have no fixed range; convert it to 8- or 16-bit")
    return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))


def _pillow_mask(file: Path) -> Any:
    image = _decoded(file)
    if image.mode in ("LA", "PA"):
        return np.asarray(image)[..., 0]
    if image.mode in ("L", "P") or image.mode.startswith("I"):
        return np.asarray(image)
    return np.asarray(image.convert("L" if image.mode == "1" else "RGB"))


def _decoded(file: Path) -> Any:
    try:
        import PIL
        from PIL import Image, ImageOps
    except ImportError:
        raise InputError(f"{file}: needs Pillow to decode; install it, or convert to .npy, .pgm or .ppm") from None
    kind = require_picture(file)  # before Pillow 8 no decoder can be named, but its signature names the one
    named: dict[str, Any] = {"formats": (kind,)} if int(PIL.__version__.partition(".")[0]) >= 8 else {}
    with parsing(file, "an image that decodes", "replace or remove it"):
        with own_pixel_limit(Image):
            opened = Image.open(str(file), **named)
        with opened as image:
            require_pixels(file, *image.size)
            return ImageOps.exif_transpose(image)
