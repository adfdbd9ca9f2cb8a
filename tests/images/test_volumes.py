"""Volumes in image sets: slices as samples, masks beside them, whatever the format of either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from edge.errors import InputError
from edge.images.consistency import require_sound_masks
from edge.images.image_set import ImageSet, load_image_set
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
from tests.fixtures.volumes import RAS_TO_LPS, blob_volume, write_nifti, write_series

TASK = SegmentationTask(size=(24, 24), scale=1.0, intensity=Intensity(window=(50.0, 200.0)), classes=("ball",))
VALUES, TRUTH = blob_volume(12, 24)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def nifti(root: Path, name: str, array: np.ndarray, affine: np.ndarray = LPS) -> Path:
    return write_nifti(root / name, np.ascontiguousarray(array.transpose(2, 1, 0)), affine)


def manifest(root: Path, *rows: str, header: str = "image,mask,split") -> ImageSet:
    (root / "manifest.csv").write_text("\n".join([header, *rows]) + "\n")
    return load_image_set(root)


def test_slices_are_samples_with_names_masks_and_spacing(tmp_path: Path) -> None:
    affine = np.diag([-0.7, -0.8, 2.0, 1.0])
    nifti(tmp_path, "case.nii.gz", VALUES, affine)
    nifti(tmp_path, "mask.nii.gz", TRUTH, affine)
    images = manifest(tmp_path, "case.nii.gz,mask.nii.gz,test")
    assert [s.name for s in images][:2] == ["case#0000", "case#0001"] and len(images) == 12
    assert images.samples[3].columns == {"volume": "case"}
    for index, sample in enumerate(images):
        plane, labels = sample.pair(TASK)
        np.testing.assert_array_equal(plane.values, VALUES[index])
        np.testing.assert_array_equal(labels, TRUTH[index])
        assert plane.spacing == pytest.approx((0.8, 0.7)) and plane.volume == "case"


def test_only_labelled_slices_and_another_axis(tmp_path: Path) -> None:
    nifti(tmp_path, "case.nii", VALUES)
    nifti(tmp_path, "mask.nii", TRUTH)
    header = "image,mask,split,slices,axis"
    labelled = manifest(tmp_path, "case.nii,mask.nii,test,labelled,", header=header)
    assert [s.index for s in labelled] == np.flatnonzero(TRUTH.any(axis=(1, 2))).tolist()
    coronal = manifest(tmp_path, "case.nii,mask.nii,test,,coronal", header=header)
    assert len(coronal) == 24
    plane, labels = coronal.samples[11].pair(TASK)
    np.testing.assert_array_equal(plane.values, VALUES[::-1, 11])
    np.testing.assert_array_equal(labels, TRUTH[::-1, 11])
    with pytest.raises(InputError, match=r"line 2: axis 'upwards' is not one of axial, coronal, sagittal"):
        manifest(tmp_path, "case.nii,mask.nii,test,all,upwards", header=header)
    with pytest.raises(InputError, match="line 2: slices = labelled, but there is no mask"):
        manifest(tmp_path, "case.nii,,test,labelled,", header=header)


def test_a_mask_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    nifti(tmp_path, "case.nii", VALUES)
    moved = LPS.copy()
    moved[2, 3] = 7.5
    for name, array, affine, fault in (
        ("moved.nii", TRUTH, moved, "lies elsewhere in the patient than the image case.nii"),
        ("fewer.nii", TRUTH[:7], LPS, "has 7 planes, but its image case.nii has 12"),
        ("small.nii", TRUTH[:, :20], LPS, "is 24x20 pixels where the image is 24x24 case.nii"),
        ("scaled.nii", TRUTH, np.diag([-1.5, -1.0, 1.0, 1.0]), "has other directions or spacing than the image"),
    ):
        nifti(tmp_path, name, array, affine)
        images = manifest(tmp_path, f"case.nii,{name},test")
        with pytest.raises(InputError, match=f"{name}: {fault}"):
            images.samples[2].labels(TASK)


def test_every_format_gives_the_same_set(tmp_path: Path) -> None:
    affine = write_series(tmp_path / "dicom/images/case", VALUES)
    stored = (RAS_TO_LPS @ affine)[:, [2, 1, 0, 3]]
    for kind, suffix, write in (
        ("nifti", ".nii.gz", lambda path, array: nifti(path.parent, path.name, array, stored)),
        ("tiff", ".tif", tifffile.imwrite),
    ):
        for folder, array in (("images", VALUES), ("masks", TRUTH)):
            (tmp_path / kind / folder).mkdir(parents=True)
            write(tmp_path / kind / folder / f"case{suffix}", array)
    nifti(tmp_path / "dicom/masks", "case.nii", TRUTH, stored)
    (tmp_path / "numpy").mkdir()
    np.save(tmp_path / "numpy/case.npy", VALUES)
    np.savez_compressed(tmp_path / "numpy/mask.npz", TRUTH)
    (tmp_path / "numpy/manifest.csv").write_text("image,mask,split,axes\ncase.npy,mask.npz,test,dhw\n")
    for kind in ("dicom", "nifti", "tiff", "numpy"):
        images = load_image_set(tmp_path / kind)
        assert [s.name for s in images] == [f"case#{index:04d}" for index in range(12)], kind
        for index, sample in enumerate(images):
            plane, labels = sample.pair(TASK)
            np.testing.assert_array_equal(plane.values, VALUES[index], kind)
            np.testing.assert_array_equal(labels, TRUTH[index], kind)


def test_four_sequences_in_four_files_with_overlapping_regions(tmp_path: Path) -> None:
    task = SegmentationTask(
        size=(24, 24), channels=("t1", "t1ce"), classes=("whole", "core"), overlapping=True, scale=1.0,
        normalize="zscore", intensity=Intensity(nonzero=True, scope="volume"),
    )  # fmt: skip
    nifti(tmp_path, "t1.nii", VALUES)
    nifti(tmp_path, "t1ce.nii", VALUES // 2)
    core = TRUTH * (VALUES > 120)
    four = np.stack([TRUTH, core], axis=-1).transpose(2, 1, 0, 3)
    write_nifti(tmp_path / "seg.nii.gz", np.ascontiguousarray(four), LPS)
    images = manifest(tmp_path, "t1.nii;t1ce.nii,seg.nii.gz,test")
    plane, labels = images.samples[6].pair(task)
    np.testing.assert_array_equal(plane.values, np.dstack([VALUES[6], VALUES[6] // 2]))
    np.testing.assert_array_equal(labels, [TRUTH[6], core[6]])
    whole = VALUES[VALUES != 0].astype(np.float64)
    assert plane.statistics is not None
    assert plane.statistics.spread[0] == pytest.approx((whole.mean(), whole.std()), rel=1e-4)
    assert task.preprocess(plane).shape == (2, 24, 24)


def test_calibration_images_spread_over_volumes_then_over_depth(tmp_path: Path) -> None:
    for number in range(5):
        nifti(tmp_path, f"v{number}.nii", blob_volume(10, 24, number)[0])
    images = manifest(tmp_path, *(f"v{n}.nii,,train" for n in range(5)))
    chosen = images.spread(15)
    assert [s.volume for s in chosen] == [f"v{n}" for n in range(5) for _ in range(3)]
    assert [s.index for s in chosen][:3] == [1, 5, 8]
    few = images.spread(3)
    assert [s.volume for s in few] == ["v0", "v2", "v4"] and len({s.index for s in few}) == 3
    assert len(images.spread(7)) == 7


def test_masks_of_other_levels_or_palettes_are_refused_before_any_time_is_spent(tmp_path: Path) -> None:
    task = SegmentationTask(size=(8, 8))
    square = np.zeros((9, 7), np.uint8)
    square[2:5, 2:5] = 1
    for name, values in (("a", square * 255), ("b", square)):
        Image.fromarray(square * 9).save(tmp_path / f"{name}.png")
        Image.fromarray(values).save(tmp_path / f"{name}m.png")
    images = manifest(tmp_path, "a.png,am.png,test", "b.png,bm.png,test")
    with pytest.raises(InputError, match=r"bm\.png: marks by 1, where am\.png marks by 255; make them alike"):
        require_sound_masks([images], task)
    require_sound_masks([images], replace(task, mask_values=(("0", 0), ("1", 1), ("255", 1))))
    for name, colour in (("am", (255, 0, 0)), ("bm", (0, 255, 0))):
        image = Image.fromarray(square, "P")
        image.putpalette([0, 0, 0, *colour])
        image.save(tmp_path / f"{name}.png")
    images = manifest(tmp_path, "a.png,am.png,test", "b.png,bm.png,test")
    with pytest.raises(InputError, match=r"bm\.png: its palette has #00ff00 at 1, where that of am\.png has #ff0000"):
        require_sound_masks([images], task)


def test_names_links_and_paths_that_cannot_be(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(InputError, match=r"line 2: 'gone\.png' is a link to nothing"):
        manifest(tmp_path, "a.png,gone.png,test")
    with pytest.raises(InputError, match=r"line 2: '\.\./a\.png' leads out of the folder"):
        manifest(tmp_path, "../a.png,,test")
    for folder in ("images", "masks"):
        (tmp_path / "plain" / folder).mkdir(parents=True)
        with open(bytes(tmp_path / "plain" / folder) + b"/m\xe4rz.png", "wb") as stream:
            stream.write((tmp_path / "a.png").read_bytes())
    with pytest.raises(InputError, match=r"m\\xe4rz\.png: its name is not UTF-8; rename it"):
        load_image_set(tmp_path / "plain")
    (tmp_path / "plain/masks/x.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(InputError, match=r"x\.png: is a link to nothing; restore the file or remove the link"):
        load_image_set(tmp_path / "plain")


def test_nibabels_own_volume_is_a_set(tmp_path: Path) -> None:
    source = Path(nibabel.__file__).parent / "tests/data/anatomical.nii"
    (tmp_path / "a.nii").write_bytes(source.read_bytes())
    images = manifest(tmp_path, "a.nii,,train")
    assert images.sha256() != manifest(tmp_path, "a.nii,,test").split("test").spread(3).sha256()
    assert len(images) == nibabel.load(source).shape[2]


def test_a_pair_turned_otherwise_is_told_before_any_time_is_spent(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    square = Image.fromarray(np.eye(6, dtype=np.uint8) * 255)
    square.save(tmp_path / "a.png", exif=exif)
    square.save(tmp_path / "m.png")
    images = manifest(tmp_path, "a.png,m.png,test")
    with pytest.raises(InputError, match=r"m\.png: has the EXIF orientation 1 or none, but its image a\.png has 3"):
        require_sound_masks([images], SegmentationTask(size=(8, 8)))
