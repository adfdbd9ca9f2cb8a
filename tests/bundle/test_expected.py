"""What the C++ runtime compares with: ranges that hold the very pixels, and the float network's masks."""

import json

import numpy as np
import pytest

from edge.bundle.contents import npz
from edge.bundle.expected import expected_files
from edge.files import sha256_bytes
from edge.task.task import SegmentationTask

TASK = SegmentationTask((8, 6))


def test_images_that_travel_whole_keep_their_type_and_size():
    planes = {
        "plane-0000": np.arange(30, dtype=np.int16).reshape(5, 6, 1),
        "plane-0001": np.ones((2, 9, 1), np.float32),
    }
    labels = [np.zeros((3, 5, 6), np.uint8), np.ones((3, 2, 9), np.uint8)]
    packed = npz(planes)
    table = json.loads(expected_files(packed, planes, labels, TASK)["data/reference.json"])
    for row, plane in zip(table["images"], planes.values(), strict=True):
        found = row["pixels"]
        assert (row["height"], row["width"], row["channels"]) == plane.shape and found["dtype"] == plane.dtype.name
        data = packed[found["offset"] :][: plane.nbytes]
        assert sha256_bytes(data) == found["sha256"] and data == plane.tobytes()
        assert row["labels"]["maps"] == 3


@pytest.mark.parametrize("channels", ["rgb", "bgr", "grey"])
def test_ranges_point_at_the_pixels_and_labels(channels):
    generator = np.random.default_rng(0)
    task = SegmentationTask((8, 6), channels, classes=("background", "a", "b"), activation="softmax")
    pixels = generator.integers(0, 256, (3, 8, 6, task.in_channels), np.uint8)
    outputs = generator.standard_normal((3, 3, 8, 6)).astype(np.float32)
    shapes = [(8, 6), (5, 9), (1, 1)]
    packed = {"data/images.npz": npz({"other": np.arange(7), "pixels": pixels})}
    labels = [task.labels(output, shape) for output, shape in zip(outputs, shapes, strict=True)]
    made = expected_files(packed["data/images.npz"], {"pixels": pixels}, labels, task)
    packed.update(made)
    table = json.loads(made["data/reference.json"])
    assert table["schema"] == "segedge.reference/1"
    assert [row["name"] for row in table["images"]] == ["image-001", "image-002", "image-003"]

    def read(entry, shape):
        data = packed["data/" + entry["file"]][entry["offset"] :][: int(np.prod(shape))]
        assert sha256_bytes(data) == entry["sha256"]
        return np.frombuffer(data, np.uint8).reshape(shape)

    for row, image, output, shape in zip(table["images"], pixels, outputs, shapes, strict=True):
        assert np.array_equal(read(row["pixels"], (row["height"], row["width"], row["channels"])), image)
        assert row["pixels"].get("order") == ("bgr" if channels == "bgr" else None)
        found = read(row["labels"], (row["labels"]["height"], row["labels"]["width"]))
        assert np.array_equal(found, task.labels(output, shape))
    assert len(made["data/reference.labels"]) == 8 * 6 + 5 * 9 + 1


def test_compressed_pixels_cannot_be_pointed_at(tmp_path):
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    np.savez_compressed(tmp_path / "images.npz", pixels=pixels)
    with pytest.raises(ValueError, match="pixels is compressed"):
        expected_files((tmp_path / "images.npz").read_bytes(), {"pixels": pixels}, [pixels[0, ..., 0]], TASK)
