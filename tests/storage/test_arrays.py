"""NumPy archives of others: what is declared is checked before it is believed."""

import io
import zipfile

import numpy as np
import pytest

from edge.errors import InputError
from edge.safety.limits import Limits, limited
from edge.storage.arrays import parse_array, read_arrays


def _archive(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_arrays_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "a.npz"
    kept = {"a": np.arange(12, dtype=np.float32).reshape(3, 4).T, "b": np.array(["x", "yz"]), "c": np.empty((0, 3))}
    np.savez_compressed(path, **kept)
    for name, array in read_arrays(path, ["a", "b", "c"], "deploy again").items():
        assert array.dtype == kept[name].dtype and np.array_equal(array, kept[name])


def test_arrays_that_lie_are_refused(tmp_path):
    header = _npy(np.zeros(4, np.float32)).replace(b"(4,)", b"(9,)")
    objects = io.BytesIO()
    np.save(objects, np.array([{}], object), allow_pickle=True)
    for data in (header, objects.getvalue(), b"", b"\x93NUMPY", _npy(np.zeros(4))[:-1], b"\x93NUMPY\x01\x00\xff\xff"):
        with pytest.raises(InputError, match=r"is not a sound .npz file|is not a sound .npy"):
            parse_array(data, "x.npy")
        with pytest.raises(InputError, match="deploy again"):
            read_arrays(_archive(tmp_path / "a.npz", {"a.npy": data}), ["a"], "deploy again")


def test_what_inflates_beyond_the_limit_is_never_inflated(tmp_path):
    path = _archive(tmp_path / "bomb.npz", {"a.npy": _npy(np.zeros(1 << 22, np.uint8))})
    assert path.stat().st_size < 20_000
    with limited(Limits(inflated_bytes=1 << 20)), pytest.raises(InputError, match="--limit inflated_bytes=N"):
        read_arrays(path, ["a"], "deploy again")


def test_every_damaged_byte_of_an_archive_gives_one_sentence(tmp_path):
    whole = _archive(tmp_path / "a.npz", {"a.npy": _npy(np.arange(40, dtype=np.int16))}).read_bytes()
    damaged = tmp_path / "damaged.npz"
    refused = 0
    for at in range(len(whole)):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            damaged.write_bytes(data)
            try:
                read_arrays(damaged, ["a"], "deploy again")
            except InputError:
                refused += 1
    assert refused > len(whole)
