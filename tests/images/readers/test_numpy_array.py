"""NumPy arrays: axes by name, one slice read at a time, nothing unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.images.readers import open_image
from edge.images.readers.stack import Layout

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("hw", (9, 7)), ("[c, h, w]", (4, 9, 7)), ("hwc", (9, 7, 2)), ("d,h,w", (5, 9, 7)), ("dchw", (5, 2, 9, 7))],
)
def test_axes_by_name(tmp_path: Path, axes: str, shape: tuple[int, ...], suffix: str, order: str) -> None:
    values = np.asarray(RNG.integers(-999, 999, shape).astype(np.int16), order=order)
    path = tmp_path / f"x{suffix}"
    np.save(path, values) if suffix == ".npy" else np.savez_compressed(path, image=values)
    stack = open_image(path, Layout(axes=axes))
    letters = [a for a in axes if a.isalpha()]
    expected = np.moveaxis(values, letters.index("c"), -1) if "c" in letters else values
    assert (stack.depth, stack.volume) == ((5, True) if "d" in letters else (1, False))
    for index in range(stack.depth):
        shown = stack.read(index).values
        np.testing.assert_array_equal(shown, expected[index] if "d" in letters else expected)


@pytest.mark.parametrize(
    ("dtype", "becomes"),
    [
        ("bool", "uint8"),
        ("int8", "int16"),
        (">i2", "int16"),
        ("int64", "int16"),
        ("float64", "float32"),
        ("f2", "float32"),
    ],
)
def test_types_are_widened_and_no_value_changed(tmp_path: Path, dtype: str, becomes: str) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    np.save(tmp_path / "x.npy", values)
    shown = open_image(tmp_path / "x.npy").read(0).values
    assert shown.dtype.name == becomes
    np.testing.assert_array_equal(shown, values.astype(becomes))


def test_what_needs_a_word_or_is_no_image(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((5, 9, 7)))
    with pytest.raises(InputError, match=r"x\.npy: has the shape \[5, 9, 7\]; add a column axes to manifest\.csv"):
        open_image(tmp_path / "x.npy")
    with pytest.raises(InputError, match=r"x\.npy: axes 'hw' do not fit the shape \[5, 9, 7\]"):
        open_image(tmp_path / "x.npy", Layout(axes="hw"))
    np.save(tmp_path / "big.npy", np.array([[2**40]]))
    with pytest.raises(InputError, match=r"big\.npy: holds whole numbers from 0 to 1099511627776, which float32 does"):
        open_image(tmp_path / "big.npy").read(0)
    np.save(tmp_path / "o.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(InputError, match=r"o\.npy: is not a sound NumPy array"):
        open_image(tmp_path / "o.npy")
    (tmp_path / "p.npy").write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match=r"p\.npy: is not a sound NumPy array"):
        open_image(tmp_path / "p.npy")
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 2)), b=np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"two\.npz: holds 2 arrays \(a, b\)"):
        open_image(tmp_path / "two.npz")
