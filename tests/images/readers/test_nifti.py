"""NIfTI: the same numbers as nibabel gives, on planes as DICOM shows them."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from edge.errors import InputError
from edge.images.readers import open_image
from edge.images.readers.stack import Layout
from tests.fixtures.volumes import write_nifti

DATA = Path(nibabel.__file__).parent / "tests/data"
VALUES = np.random.default_rng(3).integers(-1000, 3000, (5, 6, 7)).astype(np.int16)


def shown(path: Path, axis: str) -> np.ndarray:
    stack = open_image(path, Layout(axis=axis))
    planes = np.stack([stack.read(index).values for index in range(stack.depth)])
    stack.close()
    return planes


def expected(path: Path, axis: str) -> np.ndarray:
    """By nibabel: bring the volume to R to L, A to P, I to S, then index planes as the grid's table says."""
    image = nibabel.load(path)
    target = nibabel.orientations.axcodes2ornt("LPS")
    turn = nibabel.orientations.ornt_transform(nibabel.orientations.io_orientation(image.affine), target)
    lps = nibabel.orientations.apply_orientation(np.asanyarray(image.dataobj), turn)
    order, flip = {"axial": ((2, 1, 0), ()), "coronal": ((1, 2, 0), (1,)), "sagittal": ((0, 2, 1), (1,))}[axis]
    planes = lps.transpose(*order, *range(3, lps.ndim))
    return np.flip(planes, flip) if flip else planes


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "ASL", "SRP", "IAR"])
def test_planes_are_shown_alike_whatever_the_order_in_the_file(tmp_path: Path, axis: str, codes: str) -> None:
    turn = nibabel.orientations.axcodes2ornt(codes)
    affine = nibabel.orientations.inv_ornt_aff(turn, VALUES.shape) @ np.diag([1.0, 1.2, 1.4, 1.0])
    path = write_nifti(tmp_path / "x.nii", VALUES, affine)
    np.testing.assert_array_equal(shown(path, axis), expected(path, axis))


@pytest.mark.parametrize("name", ["anatomical.nii", "example_nifti2.nii.gz", "functional.nii", "example4d.nii.gz"])
def test_nibabels_own_samples(name: str) -> None:
    values = expected(DATA / name, "axial")
    ours = shown(DATA / name, "axial")
    assert ours.shape == values.shape
    np.testing.assert_array_equal(ours, values.astype(ours.dtype))


def test_slope_and_intercept_keep_whole_numbers_whole(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "ct.nii", VALUES, np.eye(4), scl_slope=1.0, scl_inter=-1024.0)
    assert nibabel.load(path).dataobj.inter == -1024.0
    planes = shown(path, "axial")
    assert planes.dtype == np.int16
    np.testing.assert_array_equal(planes, expected(path, "axial"))
    path = write_nifti(tmp_path / "pet.nii", VALUES, np.eye(4), scl_slope=0.25, scl_inter=0.5)
    assert shown(path, "axial").dtype == np.float32
    np.testing.assert_array_equal(shown(path, "axial"), expected(path, "axial").astype(np.float32))


def test_colours_and_the_last_axis_are_channels(tmp_path: Path) -> None:
    four = np.random.default_rng(0).random((5, 6, 7, 4)).astype(np.float32)
    path = write_nifti(tmp_path / "four.nii.gz", four, np.eye(4))
    np.testing.assert_array_equal(shown(path, "axial"), expected(path, "axial"))
    rgb = np.zeros((5, 6, 7), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["G"] = np.arange(5 * 6 * 7).reshape(5, 6, 7) % 251
    path = write_nifti(tmp_path / "rgb.nii", rgb, np.diag([-1.0, -1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(shown(path, "axial")[..., 1], rgb["G"].transpose(2, 1, 0))


def test_spacing_and_the_axis_that_slices_lie_along(tmp_path: Path) -> None:
    thick = write_nifti(tmp_path / "thick.nii", VALUES, np.diag([0.9, 5.0, 0.8, 1.0]))
    stack = open_image(thick)
    assert stack.grid is not None
    assert (stack.depth, stack.grid.shape) == (6, (6, 7, 5))  # coronal: along the thick axis
    assert stack.grid.spacing == pytest.approx((0.8, 0.9)) and stack.grid.thickness == pytest.approx(5.0)
    assert open_image(write_nifti(tmp_path / "even.nii", VALUES, np.eye(4))).depth == 7  # axial


def test_what_is_no_image_says_why(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "c.nii", VALUES.astype(np.complex64), np.eye(4))
    with pytest.raises(InputError, match=r"c\.nii: holds complex64 values"):
        open_image(path).read(0)
    holes = VALUES.astype(np.float32)
    holes[2, 2, 2] = np.nan
    with pytest.raises(InputError, match=r"n\.nii: holds NaN or infinity"):
        open_image(write_nifti(tmp_path / "n.nii", holes, np.eye(4))).read(2)
    whole = write_nifti(tmp_path / "t.nii.gz", VALUES, np.eye(4)).read_bytes()
    (tmp_path / "t.nii.gz").write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"t\.nii\.gz: is not a sound NIfTI file"):
        open_image(tmp_path / "t.nii.gz").read(0)
    (tmp_path / "s.nii").write_bytes(gzip.decompress(whole)[:-2])
    with pytest.raises(InputError, match=r"s\.nii: ends after 770 bytes where its header promises 772"):
        open_image(tmp_path / "s.nii")
    flat = write_nifti(tmp_path / "f.nii", VALUES, np.eye(4))
    data = bytearray(flat.read_bytes())
    data[252:256] = b"\0\0\2\0"  # sform only
    data[280:328] = np.zeros(12, np.float32).tobytes()
    flat.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"f\.nii: its header places all voxels on a plane or a line"):
        open_image(flat)
    with pytest.raises(InputError, match=r"x\.nii: axis 'diagonal' is not one of axial, coronal, sagittal"):
        open_image(write_nifti(tmp_path / "x.nii", VALUES, np.eye(4)), Layout(axis="diagonal"))
