"""DICOM: pydicom's own samples, series in any order, and the same patient from DICOM and from NIfTI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from edge.errors import InputError, MachineError
from edge.images.readers import open_image
from edge.images.readers.stack import Layout
from tests.fixtures.volumes import AXIAL, CORONAL, RAS_TO_LPS, SAGITTAL, write_dicom, write_nifti, write_series

SLICES = np.random.default_rng(5).integers(0, 2000, (6, 9, 7)).astype(np.int16)


def planes(path: Path, axis: str | None = None) -> np.ndarray:
    stack = open_image(path, Layout(axis=axis))
    shown = np.stack([stack.read(index).values for index in range(stack.depth)])
    stack.close()
    return shown


def sample(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


@pytest.mark.parametrize("plane", [AXIAL, CORONAL, SAGITTAL], ids=["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("backwards", [False, True])
def test_one_patient_gives_the_same_pixels_from_dicom_and_nifti(
    tmp_path: Path, plane: tuple, axis: str, backwards: bool
) -> None:
    rows, columns = (plane[0], tuple(-v for v in plane[1])) if backwards else plane
    affine = write_series(tmp_path / "series", SLICES, (rows, columns), (0.8, 1.1), 1.2, origin=(-20, 30, 11))
    path = write_nifti(tmp_path / "case.nii.gz", SLICES.transpose(2, 1, 0), (RAS_TO_LPS @ affine)[:, [2, 1, 0, 3]])
    ours, theirs = (open_image(p, Layout(axis=axis)) for p in (tmp_path / "series", path))
    assert ours.grid is not None and theirs.grid is not None
    np.testing.assert_allclose(ours.grid.affine, theirs.grid.affine, atol=1e-5)
    for index in range(ours.depth):
        one, other = ours.read(index).values, theirs.read(index).values
        assert one.dtype == other.dtype == np.int16
        np.testing.assert_array_equal(one, other)


def test_slices_are_ordered_by_position_and_rescaled_to_hounsfield_units(tmp_path: Path) -> None:
    write_series(tmp_path, SLICES.astype(np.uint16), RescaleSlope=1, RescaleIntercept=-1024, BitsStored=12, HighBit=11)
    shown = planes(tmp_path)
    assert shown.dtype == np.int16
    np.testing.assert_array_equal(shown, SLICES - 1024)


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "examples_jpeg2k.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "JPEG2000.dcm",
        "SC_rgb_rle_2frame.dcm",
    ],
)
def test_pydicoms_own_samples(name: str) -> None:
    path = sample(name)
    dataset = pydicom.dcmread(path)
    expected = dataset.pixel_array
    if "RescaleSlope" in dataset:
        expected = expected * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    stack = open_image(path)
    shown = np.stack([stack.read(index).values for index in range(stack.depth)])
    np.testing.assert_array_equal(shown.reshape(expected.shape), expected)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    stack = open_image(write_dicom(tmp_path / "x.dcm", pixels, tags))
    assert (stack.depth, stack.volume, stack.grid) == (1, False, None)
    np.testing.assert_array_equal(stack.read(0).values, 4095 - pixels.astype(np.int16))


def test_a_palette_becomes_colours() -> None:
    values = open_image(sample("examples_palette.dcm")).read(0).values
    assert values.shape[2] == 3 and values.dtype == np.uint16


def test_an_overlay_in_unused_bits_is_no_part_of_the_image(tmp_path: Path) -> None:
    pixels = np.full((3, 4), 100, np.uint16)
    pixels[1, 1] |= 1 << 12
    tags = {"BitsStored": 12, "HighBit": 11, "BurnedInAnnotation": "YES"}
    stack = open_image(write_dicom(tmp_path / "x.dcm", pixels, tags))
    assert (stack.read(0).values == 100).all() and stack.read(0).bits_stored == 12
    assert stack.notes == ("says that text is burnt into its pixels, which the network sees as well",)


def test_a_missing_slice_is_said_and_two_series_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "gap", SLICES, gap=5.0, shuffled=False)
    (tmp_path / "gap/0003.dcm").unlink()
    assert open_image(tmp_path / "gap").notes == (
        "a slice is missing between 0002.dcm and 0004.dcm: they lie 10 mm apart, the others 5 mm",
    )
    write_series(tmp_path / "two", SLICES, shuffled=False)
    write_series(tmp_path / "other", SLICES[:1], origin=(0, 0, 50))
    (tmp_path / "other/0000.dcm").rename(tmp_path / "two/z.dcm")
    with pytest.raises(InputError, match=r"two: holds 2 series \(0000\.dcm and z\.dcm belong to different ones\); put"):
        open_image(tmp_path / "two")


def test_phases_localizers_and_what_is_no_image(tmp_path: Path) -> None:
    write_series(tmp_path / "cine", np.repeat(SLICES, 2, axis=0), gap=0.0)
    with pytest.raises(InputError, match=r"cine: holds several slices at one position"):
        open_image(tmp_path / "cine")
    write_series(tmp_path / "scout", SLICES, SeriesInstanceUID="1.2.3", shuffled=False)
    write_series(tmp_path / "one", SLICES[:1, :5], SeriesInstanceUID="1.2.3", shuffled=False)
    (tmp_path / "one/0000.dcm").rename(tmp_path / "scout/scout.dcm")
    with pytest.raises(InputError, match=r"scout\.dcm: has another size, spacing or direction than 0000\.dcm"):
        open_image(tmp_path / "scout")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no DICOM images"):
        open_image(tmp_path / "empty")
    with pytest.raises(InputError, match=r"rtplan\.dcm: holds no pixels"):
        open_image(sample("rtplan.dcm"))


def test_a_compression_that_nothing_here_reads() -> None:
    with pytest.raises(MachineError, match=r"JPEG-lossy\.dcm: is JPEG Extended .*pip install python-gdcm, or store it"):
        open_image(sample("JPEG-lossy.dcm")).read(0)


def test_without_pydicom_the_install_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pydicom", None)
    path = tmp_path / "x.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM")
    with pytest.raises(MachineError, match=r"x\.dcm: needs pydicom .*pip install 'segedge\[medical\]'"):
        open_image(path)
