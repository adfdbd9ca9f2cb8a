"""A light aarch64 user space: Debian's Python and the wheels that a board's half and its tests need.

Packages are fetched by a private APT root and unpacked, not installed: nothing of this machine changes. What has been
downloaded is kept, so that a second call takes no time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

# OpenVINO computes a convolution wrongly on the CPU that QEMU pretends by default.
CPU = "cortex-a76"
EMULATOR = "qemu-aarch64-static"
PACKAGES = ("python3.11", "libstdc++6")
WHEELS = (
    "iniconfig", "ml_dtypes", "numpy", "onnx", "openvino", "packaging", "pillow", "pluggy", "protobuf", "psutil",
    "pygments", "pytest", "typing_extensions",
)  # fmt: skip
_PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_26", "manylinux_2_27", "manylinux_2_28", "manylinux_2_35")
_APT = """APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
Dir::State "{state}";
Dir::State::status "{state}/status";
Dir::Cache "{cache}";
"""


@dataclass(frozen=True)
class Space:
    """An unpacked user space; ``root`` is its ``/``."""

    root: Path

    @property
    def packages(self) -> Path:
        """Where its Python looks for installed packages."""
        return self.root / "usr" / "lib" / "python3" / "dist-packages"

    def command(self, program: Path, *words: object) -> list[str]:
        """The words that run an aarch64 program; a path that the root has is the root's, any other this machine's."""
        return [EMULATOR, "-cpu", CPU, "-L", str(self.root), str(program), *map(str, words)]

    def python(self, *words: object) -> list[str]:
        """The words that run its Python."""
        return self.command(self.root / "usr" / "bin" / "python3.11", "-B", *words)


def make_space(folder: Path) -> Space:
    """Fetch and unpack the user space into ``folder``, or find it there.

    Raises:
        subprocess.CalledProcessError: APT or pip could not fetch; their message is on stderr.
    """
    space = Space(folder / "root")
    wanted = " ".join([*PACKAGES, *(f"{name}=={version(name)}" for name in WHEELS)])
    done = folder / "unpacked.txt"
    if done.is_file() and done.read_text() == wanted:
        return space
    for package in _fetch_packages(folder):
        subprocess.run(["dpkg", "-x", package, space.root], check=True)
    for wheel in _fetch_wheels(folder / "wheels"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(space.packages)
    done.write_text(wanted)
    return space


def with_files(space: Space, tree: Path, folder: Path) -> Space:
    """The same user space with the files of ``tree`` at their real paths, in ``folder`` (hard links, no copies)."""
    subprocess.run(["cp", "--archive", "--link", "--force", f"{space.root}/.", folder], check=True)
    subprocess.run(["cp", "--archive", "--force", f"{tree}/.", folder], check=True)
    return Space(folder)


def _fetch_packages(folder: Path) -> list[Path]:
    state, cache = folder / "apt", folder / "apt" / "cache"
    for place in (state / "lists" / "partial", cache / "archives" / "partial"):
        place.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    (state / "apt.conf").write_text(_APT.format(state=state.absolute(), cache=cache.absolute()))
    environment = {**os.environ, "APT_CONFIG": str((state / "apt.conf").absolute())}
    fetch = ("install", "--yes", "--quiet=2", "--no-install-recommends", "--download-only", *PACKAGES)
    for words in (("update", "--quiet=2"), fetch):
        subprocess.run(["apt-get", *words], env=environment, check=True, stdout=subprocess.DEVNULL)
    return sorted((cache / "archives").glob("*.deb"))


def _fetch_wheels(folder: Path) -> list[Path]:
    pins = [f"{name}=={version(name)}" for name in WHEELS]
    platforms = [word for name in _PLATFORMS for word in ("--platform", f"{name}_aarch64")]
    python = ["--python-version", "311", "--implementation", "cp"]
    abis = [word for name in ("cp311", "abi3", "none") for word in ("--abi", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
    subprocess.run([*command, *platforms, *python, *abis, *pins], check=True)
    return sorted(folder.glob("*.whl"))
