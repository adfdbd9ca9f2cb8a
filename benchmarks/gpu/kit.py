"""Packs what a bare NVIDIA machine without a network lacks, in parts of at most 60 MB with hashes and a loader.

    python -m benchmarks.gpu.kit --out DIR [--sets base,rtx,8.6,8.5] [--python ~/.pyenv/versions/3.10.13]

The parts hold one tar: a CPython 3.10, our wheel with what it needs, this repository's benchmarks, networks and tests,
and for each set the wheels of one TensorRT with the CUDA libraries that it links. On the GPU machine ``python3
load.py`` (any Python from 3.6 on, standard library only) checks every part, joins them and unpacks, and prints the
command to run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

SCHEMA = "edge.gpu-kit/1"
PART_BYTES = 60_000_000
_REPOSITORY = Path(__file__).resolve().parents[2]
_CARRIED = ("benchmarks", "calibration", "edge", "export", "models", "tests", "pyproject.toml", "README.md")
# Set to wheels. 8.x wheels are for CPython 3.10 and Linux on x86-64; its CUDA libraries come beside it.
SETS: Mapping[str, tuple[str, ...]] = {
    "base": ("pytest",),
    "rtx": ("tensorrt-rtx-cu13-bindings==1.7.1.116", "tensorrt-rtx-cu13-libs==1.7.1.116"),
    "8.6": ("tensorrt==8.6.0", "nvidia-cuda-runtime-cu12==12.0.146", "nvidia-cudnn-cu12==8.9.2.26",
            "nvidia-cublas-cu12==12.1.3.1"),
    "8.5": ("tensorrt==8.5.3.1", "nvidia-cuda-runtime-cu11==11.8.89", "nvidia-cudnn-cu11==8.6.0.163",
            "nvidia-cublas-cu11==11.11.3.6"),
}  # fmt: skip
# What PyPI has no wheel of: pure Python, made into one here.
_BUILT: Mapping[str, str] = {"base": str(_REPOSITORY), "rtx": "tensorrt-rtx-cu13==1.7.1.116"}
_WITH_DEPENDENCIES = ("base",)
_PYTHON = "3.10"
_PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")
_UNWANTED = ("__pycache__", "test", "tests", "idle_test", "site-packages", "lib2to3", ".git", "out")


class PartWriter:
    """A binary stream that becomes numbered files of a limited size, each with its hash."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._file: IO[bytes] | None = None
        self._left = 0
        self._hash = hashlib.sha256()
        self.parts: list[dict[str, object]] = []

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            if self._file is None:
                self._begin()
            piece = view[: self._left]
            self._file.write(piece)  # type: ignore[union-attr]
            self._hash.update(piece)
            self._left -= len(piece)
            view = view[len(piece) :]
            if self._left == 0:
                self.close()
        return len(data)

    def close(self) -> None:
        """End the part that is open."""
        if self._file is not None:
            path = Path(self._file.name)
            self._file.close()
            self._file = None
            row = {"name": path.name, "bytes": path.stat().st_size, "sha256": self._hash.hexdigest()}
            self.parts.append(row)

    def _begin(self) -> None:
        self._file = (self._folder / f"kit.{len(self.parts):03d}").open("wb")
        self._left, self._hash = self._limit, hashlib.sha256()


def pack(contents: Mapping[str, Path], out: Path, part_bytes: int = PART_BYTES) -> list[dict[str, object]]:
    """Write files and folders as parts, with ``kit.json`` and ``load.py`` beside them.

    Args:
        contents: path in the kit to a file or folder here.
        out: empty or new folder.
        part_bytes: of one part, at most.

    Returns:
        Name, size and hash of every part.
    """
    out.mkdir(parents=True, exist_ok=True)
    writer = PartWriter(out, part_bytes)
    with tarfile.open(fileobj=writer, mode="w|") as archive:  # type: ignore[call-overload]
        for name, path in sorted(contents.items()):
            archive.add(path, name, filter=_wanted)
    writer.close()
    (out / "kit.json").write_text(json.dumps({"schema": SCHEMA, "parts": writer.parts}, indent=1))
    shutil.copy(Path(__file__).with_name("load.py"), out / "load.py")
    return writer.parts


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts
    inside = parts[1:] if parts[0] == "repository" and len(parts) > 2 and parts[1] == "tests" else parts
    unwanted = _UNWANTED if parts[0] == "python" else ("__pycache__", "out")
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return None if any(part in unwanted for part in inside) else member


def collect(sets: Iterable[str], python: Path, scratch: Path) -> dict[str, Path]:
    """Download and build what a kit holds.

    Raises:
        CalledProcessError: pip could not.
    """
    contents = {f"repository/{name}": _REPOSITORY / name for name in _CARRIED}
    contents["python"] = python
    contents["networks"] = export_networks(scratch / "networks")
    interpreter = str(python / "bin" / f"python{_PYTHON}")  # whose version decides what pip takes along
    for name in sets:
        folder = scratch / name
        folder.mkdir()
        if name in _BUILT:
            _pip(interpreter, "wheel", "--no-deps", "--wheel-dir", str(folder), _BUILT[name])
        dependencies = [] if name in _WITH_DEPENDENCIES else ["--no-deps"]
        wheels = [*SETS[name], *(str(path) for path in folder.glob("*.whl"))]
        _pip(interpreter, "download", "--dest", str(folder), *_platform(), *dependencies, *wheels)
        contents[f"wheels/{name}"] = folder
    return contents


def _platform() -> list[str]:
    words = ["--only-binary=:all:", "--python-version", _PYTHON, "--implementation", "cp"]
    words += ["--abi", "cp" + _PYTHON.replace(".", ""), "--abi", "abi3", "--abi", "none"]
    for platform in _PLATFORMS:
        words += ["--platform", platform]
    return words


def export_networks(folder: Path) -> Path:
    """The five networks as ONNX files with their tasks: the kit carries no PyTorch."""
    from edge.loading import load_model

    folder.mkdir()
    for path in sorted((_REPOSITORY / "models").glob("*/weights.safetensors")):
        load_model(str(path.parent), None, None).save(folder / f"{path.parent.name}.onnx")
    return folder


def _pip(interpreter: str, *words: str) -> None:
    subprocess.run([interpreter, "-m", "pip", *words, "--quiet", "--disable-pip-version-check"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default="base,rtx,8.6,8.5", help=f"of {', '.join(SETS)}")
    parser.add_argument("--python", type=Path, required=True, help=f"folder of a CPython {_PYTHON} (bin, lib)")
    arguments = parser.parse_args()
    if not (arguments.python / "bin" / f"python{_PYTHON}").exists():
        sys.exit(f"error: --python {arguments.python}: holds no bin/python{_PYTHON}; pyenv install {_PYTHON}")
    unknown = set(arguments.sets.split(",")) - set(SETS)
    if unknown:
        sys.exit(f"error: --sets {', '.join(sorted(unknown))}: unknown; known are {', '.join(SETS)}")
    with tempfile.TemporaryDirectory() as scratch:
        parts = pack(collect(arguments.sets.split(","), arguments.python, Path(scratch)), arguments.out)
    total = sum(int(str(part["bytes"])) for part in parts)
    print(f"{arguments.out}: {len(parts)} parts, {total / 1e6:.0f} MB; there: python3 load.py --into FOLDER")


if __name__ == "__main__":
    main()
