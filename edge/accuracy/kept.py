"""What an evaluation keeps of its images, so that memory does not grow with how many there are.

Label maps stay in memory, deflated: masks are large areas of one value, so a thousand slices take a few megabytes.
Outputs are noise and stay in an unnamed temporary file.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Iterable, Sequence

import numpy as np

from ..errors import MACHINE_FAULTS, MachineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Labels = NDArray[np.uint8]
    Array = NDArray[np.float32]

_FAST = 1  # level of deflation: masks shrink a hundredfold at any, outputs hardly at any


class KeptLabels(Sequence[Any]):
    """Label maps of any shapes, in order; each is inflated when it is asked for."""

    def __init__(self, maps: Iterable[Labels] = ()) -> None:
        self._maps: list[tuple[tuple[int, ...], bytes]] = []
        for labels in maps:
            self.append(labels)

    def append(self, labels: Labels) -> None:
        """Keep one more, uint8."""
        self._maps.append((labels.shape, zlib.compress(np.ascontiguousarray(labels, np.uint8).tobytes(), _FAST)))

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, index: Any) -> Any:
        shape, packed = self._maps[index]
        return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)


class KeptOutputs(Sequence[Any]):
    """Outputs of one shape, in order: an array ``[images, maps, height, width]`` float32, read image by image.

    The file goes with the object."""

    dtype = np.dtype(np.float32)

    def __init__(self, outputs: Iterable[NDArray[np.float32]] = ()) -> None:
        self._stream: IO[bytes] | None = None
        self._shape: tuple[int, ...] = ()
        self._count = 0
        for output in outputs:
            self.append(output)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole array."""
        return (self._count, *self._shape)

    def append(self, output: NDArray[np.float32]) -> None:
        """Keep one more.

        Raises:
            MachineError: no room for it.
            ValueError: it has another shape than those before.
        """
        if self._stream is not None and output.shape != self._shape:
            raise ValueError(f"an output of shape {output.shape} after others of {self._shape}")
        try:
            if self._stream is None:
                self._stream, self._shape = tempfile.TemporaryFile(), output.shape  # noqa: SIM115 - closed with us
            self._stream.seek(0, 2)
            self._stream.write(np.ascontiguousarray(output, np.float32).tobytes())
        except OSError as error:
            if error.errno not in MACHINE_FAULTS:
                raise
            raise MachineError(
                f"{tempfile.gettempdir()}: no room for what the network returns ({error.strerror}); free the disk or "
                "set TMPDIR to another folder"
            ) from error
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return np.stack([self[i] for i in range(*index.indices(self._count))])
        place = index + self._count if index < 0 else index
        if not 0 <= place < self._count:
            raise IndexError(index)
        assert self._stream is not None
        elements = int(np.prod(self._shape, dtype=np.int64))
        self._stream.seek(place * elements * self.dtype.itemsize)
        return np.frombuffer(self._stream.read(elements * self.dtype.itemsize), np.float32).reshape(self._shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        whole = np.stack(list(self)) if self._count else np.empty((0,), np.float32)
        return whole.astype(dtype or np.float32, copy=False)


def save_outputs(stream: IO[bytes], names: Sequence[str], outputs: Array | Sequence[Array]) -> None:
    """Write a compressed ``.npz`` of ``names`` and ``outputs``, one image at a time."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as archive:
        with archive.open("names.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.array(names), allow_pickle=False)
        shape = (len(outputs), *(outputs[0].shape if len(outputs) else ()))
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with archive.open("outputs.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for output in outputs:
                member.write(np.ascontiguousarray(output, "<f4").tobytes())
