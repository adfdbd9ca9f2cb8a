"""Images that a device brings itself, with and without masks, in formats that need no image library."""

import numpy as np
import pytest
from PIL import Image

from edge.device.pictures import supplied
from edge.errors import InputError
from edge.task.task import SegmentationTask

TASK = SegmentationTask(size=(16, 20), classes=("lesion",))

_UNREADABLE = r"is not readable as an image|does not decode as an image|is not a sound .npy array"


def _pictures(count):
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (30 + i, 25, 3), np.uint8) for i in range(count)]


def test_npy_netpbm_and_png_read_alike(tmp_path):
    colour, other, grey = *_pictures(2), _pictures(3)[2][..., 0]
    np.save(tmp_path / "a.npy", colour)
    Image.fromarray(other).save(tmp_path / "b.ppm")
    Image.fromarray(grey).save(tmp_path / "c.pgm")
    Image.fromarray(colour).save(tmp_path / "d.png")
    found = supplied(tmp_path, TASK)
    assert found.names == ("image-001", "image-002", "image-003", "image-004") and found.masks is None
    assert found.shapes == ((30, 25), (31, 25), (32, 25), (30, 25))
    for ours, pixels in zip(found.inputs(TASK), (colour, other, grey, colour)):
        assert np.array_equal(ours[0], TASK.preprocess(pixels))


def test_masks_of_equal_stems(tmp_path):
    (image,) = _pictures(1)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    np.save(tmp_path / "images/a.npy", image)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[3:9] = 255
    Image.fromarray(mask).save(tmp_path / "masks/a.png")
    found = supplied(tmp_path, TASK)
    assert np.array_equal(found.masks[0], mask // 255)
    np.save(tmp_path / "images/b.npy", image)
    with pytest.raises(InputError, match=r"b\.npy: has no mask of the same stem"):
        supplied(tmp_path, TASK)
    np.save(tmp_path / "masks/b.npy", mask[1:])
    with pytest.raises(InputError, match="another size"):
        supplied(tmp_path, TASK)


@pytest.mark.parametrize(
    ("name", "contents", "words"),
    [
        ("a.png", b"not a picture", _UNREADABLE),
        ("a.npy", b"\x93NUMPY", _UNREADABLE),
        ("a.pgm", b"P2\n2 2\n255\n0 0 0 0\n", "no binary 8-bit PGM"),
        ("a.pgm", b"P5\n20 20\n255\nshort", _UNREADABLE),
        ("a.txt", b"", "holds no images"),
    ],
)
def test_bad_images_are_one_sentence(tmp_path, name, contents, words):
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(InputError, match=words) as caught:
        supplied(tmp_path, TASK)
    assert "\n" not in str(caught.value)


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=_UNREADABLE):
        supplied(tmp_path, TASK)


def test_other_formats_read_as_on_the_workstation(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    deep = np.linspace(0, 65535, 30 * 25).reshape(30, 25).astype(np.uint16)
    turned = Image.Exif()
    turned[0x0112] = 6
    palette = Image.fromarray((deep > 30000).astype(np.uint8), "P")
    palette.putpalette([0, 0, 0, 0, 255, 0])  # index 1 is green: no red in it
    Image.fromarray((deep // 300).astype(np.uint8)).save(tmp_path / "images/a.png")
    palette.save(tmp_path / "masks/a.png")
    Image.fromarray((deep // 257).astype(np.uint8)).save(tmp_path / "images/b.png", exif=turned)
    Image.fromarray(np.where(deep > 30000, 65535, 0).astype(np.uint16)).save(tmp_path / "masks/b.png", exif=turned)
    found = supplied(tmp_path, TASK)
    assert found.shapes == ((30, 25), (25, 30))
    image_set = pytest.importorskip("edge.images.image_set", reason="the workstation's", exc_type=ImportError)
    for (ours,), mask, sample in zip(found.inputs(TASK), found.masks, image_set.load_image_set(tmp_path)):
        assert np.array_equal(ours, TASK.preprocess(sample.pixels()))
        assert np.array_equal(mask, sample.labels(TASK))


def test_a_mask_of_several_levels_is_refused(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.zeros((9, 8, 3), np.uint8)).save(tmp_path / "images/a.png")
    Image.fromarray(np.arange(72, dtype=np.uint8).reshape(9, 8)).save(tmp_path / "masks/a.png")
    with pytest.raises(InputError, match=r"a\.png: 72 levels in the mask of a two-level task"):
        supplied(tmp_path, TASK)
