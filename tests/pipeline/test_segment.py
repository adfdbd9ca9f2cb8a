"""Masks on the grid of their image: pictures, NIfTI, DICOM series and stacks, through a real network."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image

from edge.backends.engine import Runner
from edge.backends.onnxruntime import reference
from edge.errors import InputError, MachineError
from edge.images.case import Case
from edge.images.readers import open_mask
from edge.images.readers.stack import Layout, Stack
from edge.images.shelf import Shelf
from edge.pipeline.segment import Form, _is_one_picture, segment_images
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
from tests.fixtures.discs import SIZE, disc_network
from tests.fixtures.volumes import RAS_TO_LPS, SAGITTAL, blob_volume, write_nifti, write_series

TASK = SegmentationTask(size=(SIZE, SIZE), scale=1.0, intensity=Intensity(window=(50.0, 200.0)), classes=("ball",))
BOTH = replace(TASK, classes=("ball", "rim"), overlapping=True)
VALUES, TRUTH = blob_volume(8, 40)


@pytest.fixture(scope="module")
def runner() -> Runner:
    return reference(disc_network(TASK))


class Twice:
    """The network's map as two classes, the second asking for more."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def run(self, batch: np.ndarray) -> np.ndarray:
        output = self._runner.run(batch)
        return np.concatenate([output, output - 2.0], axis=1)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def read_back(image: Path, mask: Path) -> np.ndarray:
    """The mask as an image set would read it beside its image."""
    case = Case("x", (image,), (mask,), volume=True)
    return np.stack([case.labels(index, TASK) for index in range(case.depth)])


def test_nifti_comes_back_with_its_affine_whatever_its_axes(runner: Runner, tmp_path: Path) -> None:
    stored = np.flip(VALUES.transpose(0, 2, 1), 1)  # superior, left to right, posterior
    affine = np.array([[0, -0.8, 0, 10], [0, 0, -1.1, 5], [1.2, 0, 0, -3], [0, 0, 0, 1.0]]) @ np.diag([1, -1, 1, 1])
    path = write_nifti(tmp_path / "case.nii.gz", np.ascontiguousarray(stored), affine)
    (found,) = segment_images(runner, TASK, [path], tmp_path / "out")
    assert found == tmp_path / "out/case.nii.gz"
    mask, image = nibabel.load(found), nibabel.load(path)
    np.testing.assert_array_equal(mask.affine, image.affine)
    assert mask.shape == image.shape and mask.get_data_dtype() == np.uint8
    assert mask.header["sform_code"] == image.header["sform_code"]
    truth = np.flip(TRUTH.transpose(0, 2, 1), 1) == 1
    assert dice(np.asarray(mask.dataobj) == 1, truth) > 0.9


def test_a_series_comes_back_as_a_segmentation_of_its_study(runner: Runner, tmp_path: Path) -> None:
    series = tmp_path / "series"
    write_series(series, VALUES, SAGITTAL, (0.8, 1.1), 2.0, origin=(3, 4, 5))
    (found,) = segment_images(runner, TASK, [series], tmp_path / "out")
    assert found == tmp_path / "out/series.dcm"
    segmentation, image = highdicom.seg.segread(found), pydicom.dcmread(next(series.glob("*.dcm")))
    for name in ("StudyInstanceUID", "PatientID", "FrameOfReferenceUID"):
        assert segmentation[name].value == image[name].value
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == image.SeriesInstanceUID
    assert segmentation.get_segment_description(1).segment_label == "ball"
    assert dice(read_back(series, found) == 1, TRUTH[::-1] == 1) > 0.9  # its normal points to the right


def test_the_same_patient_gives_the_same_mask_from_dicom_and_nifti(runner: Runner, tmp_path: Path) -> None:
    affine = write_series(tmp_path / "series", VALUES, gap=2.0)
    path = write_nifti(tmp_path / "case.nii", VALUES.transpose(2, 1, 0), (RAS_TO_LPS @ affine)[:, [2, 1, 0, 3]])
    dicom, nifti = segment_images(runner, TASK, [tmp_path / "series", path], tmp_path / "out")
    np.testing.assert_array_equal(read_back(tmp_path / "series", dicom), read_back(path, nifti))


def test_a_stack_and_a_picture(runner: Runner, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", VALUES)
    tifffile.imwrite(tmp_path / "picture.tif", VALUES[4])
    stack, picture = segment_images(runner, TASK, [tmp_path / "stack.tif", tmp_path / "picture.tif"], tmp_path / "out")
    assert (stack.name, picture.name) == ("stack.tif", "picture.png")
    pages = tifffile.imread(stack)
    assert pages.shape == VALUES.shape and dice(pages == 1, TRUTH == 1) > 0.9
    np.testing.assert_array_equal(np.asarray(Image.open(picture)), pages[4] * 255)


def test_overlapping_classes_have_a_file_each_or_a_bit_each(runner: Runner, tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "case.nii.gz", VALUES.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))
    apart = segment_images(Twice(runner), BOTH, [path], tmp_path / "apart")
    assert [p.name for p in apart] == ["case_ball.nii.gz", "case_rim.nii.gz"]
    ball, rim = (np.asarray(nibabel.load(p).dataobj) for p in apart)
    assert ball.max() == rim.max() == 1 and rim.sum() < ball.sum()
    (together,) = segment_images(Twice(runner), BOTH, [path], tmp_path / "one", form=Form(one_file=True))
    np.testing.assert_array_equal(np.asarray(nibabel.load(together).dataobj), ball + 2 * rim)
    write_series(tmp_path / "series", VALUES)
    (dicom,) = segment_images(Twice(runner), BOTH, [tmp_path / "series"], tmp_path / "seg")
    assert open_mask(dicom).segments == ((1, "ball"), (2, "rim"))
    with pytest.raises(InputError, match="--one-file: is for overlapping labels"):
        segment_images(runner, TASK, [path], tmp_path / "x", form=Form(one_file=True))


def test_nothing_replaces_an_image_or_another_mask(runner: Runner, tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "case.nii.gz", VALUES.transpose(2, 1, 0), np.eye(4))
    with pytest.raises(InputError, match="would replace an input image"):
        segment_images(runner, TASK, [path], tmp_path)
    write_series(tmp_path / "a/case", VALUES)
    write_series(tmp_path / "b/case", VALUES)
    with pytest.raises(InputError, match="has the stem of"):
        segment_images(runner, TASK, [tmp_path / "a/case", tmp_path / "b/case"], tmp_path / "out")


def _channel_files(folder: Path) -> Path:
    """One image in two files, as a command line names it."""
    for name in ("x.png", "y.png"):
        Image.fromarray(np.full((20, 20), 100, np.uint8)).save(folder / name)
    return Path(f"{folder / 'x.png'};{folder / 'y.png'}")


class Dark:
    """Finds nothing."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.full((1, 1, *batch.shape[2:]), -1.0, np.float32)


TWO = replace(TASK, channels=("x", "y"), intensity=None, mean=(0.0, 0.0), std=(1.0, 1.0))


def test_no_file_of_an_image_of_several_is_replaced(tmp_path: Path) -> None:
    image = _channel_files(tmp_path)
    assert not _is_one_picture(image)  # the route from pixels takes one file
    with pytest.raises(InputError, match="would replace an input image"):
        segment_images(Dark(), TWO, [image], tmp_path)
    (found,) = segment_images(Dark(), TWO, [image], tmp_path / "out")
    assert found == tmp_path / "out/x.png"


def test_a_second_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, opened = _channel_files(tmp_path), Shelf.image

    def refused(shelf: Shelf, path: Path, layout: Layout) -> Stack:
        if path.name == "y.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(shelf, path, layout)

    monkeypatch.setattr(Shelf, "image", refused)
    with pytest.raises(MachineError, match=r"y\.png: cannot be read"):
        segment_images(Dark(), TWO, [image], tmp_path / "out")


def test_slices_beside_the_one_at_hand_are_channels(tmp_path: Path) -> None:
    task = replace(TASK, channels=("z-1", "z", "z+1"))
    path = write_nifti(tmp_path / "case.nii", VALUES.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))
    seen: list[np.ndarray] = []

    class Middle:
        def run(self, batch: np.ndarray) -> np.ndarray:
            seen.append(batch[0])
            return batch[:, 1:2]

    segment_images(Middle(), task, [path], tmp_path / "out")
    expected = task.preprocess(np.dstack([VALUES[0], VALUES[0], VALUES[1]]))
    np.testing.assert_array_equal(seen[0], expected)
    np.testing.assert_array_equal(seen[-1], task.preprocess(np.dstack([VALUES[-2], VALUES[-1], VALUES[-1]])))


def test_a_missing_slice_is_said_and_its_volume_has_no_distance_in_depth(runner: Runner, tmp_path: Path) -> None:
    series = tmp_path / "series"
    write_series(series, VALUES, gap=5.0, shuffled=False)
    whole = Case("x", (series,), (), volume=True).plane(0, "x#0000")
    (series / "0003.dcm").unlink()
    said: list[str] = []
    segment_images(runner, TASK, [series], tmp_path / "out", say=said.append)
    assert len(said) == 1 and "series: a slice is missing between 0002.dcm and 0004.dcm" in said[0]
    gapped = Case("x", (series,), (), volume=True).plane(0, "x#0000")
    assert whole.thickness == 5.0 and gapped.thickness is None and gapped.spacing == whole.spacing
