"""Grids: where the pixels of a volume lie in the patient, and which way a plane of it is looked at.

Positions are millimetres in the patient's axes as DICOM has them (LPS: to the left, to posterior, to superior). Planes
are shown as DICOM viewers show them, whatever the order in the file::

    plane      rows run to    columns run to    planes run to
    axial      posterior      left              superior
    coronal    inferior       left              posterior
    sagittal   inferior       posterior         left

An oblique volume is not resampled: each of its axes stands for the patient's axis that it is nearest to.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError

Affine = NDArray[np.float64]

AXES = ("axial", "coronal", "sagittal")
# Patient axis (0 left, 1 posterior, 2 superior) and its sign, for planes, rows and columns.
_SHOWN = {
    "axial": ((2, 1), (1, 1), (0, 1)),
    "coronal": ((1, 1), (2, -1), (0, 1)),
    "sagittal": ((0, 1), (2, -1), (1, 1)),
}
_ACROSS = {2: "axial", 1: "coronal", 0: "sagittal"}
_CLEARLY_THICKER = 1.5
_TOLERANCE_MM = 1e-2  # of a position: headers carry few digits


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a stack of planes lie, as the planes are shown.

    Attributes:
        affine: ``[4, 4]``, (plane, row, column, 1) to millimetres in LPS.
        shape: planes, rows, columns.
        even: whether planes are all as far apart as the affine says; False where a slice is missing.
    """

    affine: Affine
    shape: tuple[int, int, int]
    even: bool = True

    @property
    def spacing(self) -> tuple[float, float]:
        """Millimetres from row to row and from column to column."""
        _, rows, columns = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(rows), float(columns)

    @property
    def thickness(self) -> float:
        """Millimetres from plane to plane."""
        return float(np.linalg.norm(self.affine[:3, 0]))

    def first_plane_of(self, other: Grid) -> int:
        """The plane of ``other``, a part of this grid, that is this grid's plane 0 (negative: it begins later).

        Raises:
            InputError: ``other`` lies elsewhere; says how they differ, without naming the files.
        """
        if self.shape[1:] != other.shape[1:]:
            raise InputError(f"is {_size(other)} pixels where the image is {_size(self)}")
        steps = np.abs(self.affine[:3, :3] - other.affine[:3, :3]) * np.maximum(self.shape, 1)
        if steps[:, 1:].max() > _TOLERANCE_MM * 10 or (
            min(self.shape[0], other.shape[0]) > 1 and steps[:, 0].max() > 1
        ):
            raise InputError("has other directions or spacing than the image")
        shift = other.affine[:3, 3] - self.affine[:3, 3]
        step = self.affine[:3, 0]
        planes = round(float(shift @ step / (step @ step)))
        if np.abs(shift - planes * step).max() > 0.1 * max(self.thickness, _TOLERANCE_MM):
            raise InputError("lies elsewhere in the patient than the image")
        return -planes


@dataclass(frozen=True)
class View:
    """How the axes of a stored volume become planes, rows and columns.

    Attributes:
        axis: axial, coronal or sagittal.
        order: stored axis of planes, of rows, of columns.
        flipped: whether each of them runs backwards.
    """

    axis: str
    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def stored_index(self, plane: int, depth: int) -> int:
        """Where along its stored axis a plane lies."""
        return depth - 1 - plane if self.flipped[0] else plane

    def show(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """One plane as stored, its two axes in stored order (channels may follow), as it is shown."""
        shown = values if self.order[1] < self.order[2] else values.swapaxes(0, 1)
        return shown[:: -1 if self.flipped[1] else 1, :: -1 if self.flipped[2] else 1]

    def store_plane(self, shown: NDArray[np.generic]) -> NDArray[np.generic]:
        """One plane as it is shown, its two axes in stored order: the other way of :meth:`show`."""
        turned = shown[:: -1 if self.flipped[1] else 1, :: -1 if self.flipped[2] else 1]
        return turned if self.order[1] < self.order[2] else turned.swapaxes(0, 1)

    def store(self, volume: NDArray[np.generic]) -> NDArray[np.generic]:
        """``[planes, rows, columns]`` as shown, in stored order; more axes may follow."""
        turned = volume[tuple(slice(None, None, -1 if flip else None) for flip in self.flipped)]
        back = np.argsort(self.order)
        return turned.transpose(*back, *range(3, volume.ndim))

    def grid(self, affine: Affine, shape: tuple[int, int, int]) -> Grid:
        """The shown grid of a volume whose stored axes have this affine and shape."""
        axes = affine[:3, list(self.order)].copy()
        origin = affine[:3, 3].copy()
        sides = tuple(shape[axis] for axis in self.order)
        for index, flip in enumerate(self.flipped):
            if flip:
                origin += axes[:, index] * (sides[index] - 1)
                axes[:, index] *= -1.0
        shown = np.eye(4)
        shown[:3, :3], shown[:3, 3] = axes, origin
        return Grid(shown, (sides[0], sides[1], sides[2]))


def choose_view(affine: Affine, shape: tuple[int, ...], axis: str | None) -> View:
    """How a stored volume is shown.

    Args:
        affine: ``[4, 4]``, stored indices to millimetres in LPS.
        shape: of the volume as stored.
        axis: one of :data:`AXES`; None takes axial, or the axis that has but one plane, or along which the volume is
            1.5 times coarser than along the two others, as stacks of thick slices are.

    Raises:
        InputError: an unknown axis, or an affine that maps the volume onto less than three dimensions.
    """
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(affine).all() and lengths.min() > 0 and abs(np.linalg.det(affine[:3, :3] / lengths)) > 1e-3):
        raise InputError("its header places all voxels on a plane or a line")
    nearest = _nearest(affine[:3, :3] / lengths)
    stored_axis = {patient: stored for stored, (patient, _) in enumerate(nearest)}
    if axis is None:
        single = [stored for stored in range(3) if shape[stored] == 1]
        thickest = single[0] if len(single) == 1 else int(lengths.argmax())
        clearly = len(single) == 1 or lengths[thickest] >= _CLEARLY_THICKER * np.delete(lengths, thickest).max()
        axis = _ACROSS[nearest[thickest][0]] if clearly else "axial"
    if axis not in _SHOWN:
        raise InputError(f"axis {axis!r} is not one of {', '.join(AXES)}")
    order = [stored_axis[patient] for patient, _ in _SHOWN[axis]]
    flipped = [nearest[stored_axis[patient]][1] != sign for patient, sign in _SHOWN[axis]]
    return View(axis, (order[0], order[1], order[2]), (flipped[0], flipped[1], flipped[2]))


def _nearest(directions: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """For each stored axis the patient axis it is nearest to, all different, and whether it runs along (1) or back."""
    best = max(permutations(range(3)), key=lambda p: sum(abs(directions[p[stored], stored]) for stored in range(3)))
    return tuple((patient, 1 if directions[patient, stored] > 0 else -1) for stored, patient in enumerate(best))


def _size(grid: Grid) -> str:
    return f"{grid.shape[2]}x{grid.shape[1]}"
