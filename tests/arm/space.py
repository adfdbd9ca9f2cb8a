"""A light aarch64 user space: Debian's Python and the wheels that a board's half and its tests need.

Packages are fetched by a private APT root and unpacked, not installed: nothing of this machine changes. What has been
downloaded is kept, so that a second call takes no time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

# OpenVINO computes a convolution wrongly on the CPU that QEMU pretends by default.
CPU = "cortex-a76"
EMULATOR = "qemu-aarch64-static"
_PLATFORMS = (
    "manylinux2014",
    "manylinux_2_17",
    "manylinux_2_26",
    "manylinux_2_27",
    "manylinux_2_28",
    "manylinux_2_31",
    "manylinux_2_35",
)
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_APT = """APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
Dir::State "{state}";
Dir::State::status "{state}/status";
Dir::Cache "{cache}";
"""


@dataclass(frozen=True)
class Recipe:
    """What a user space is made of.

    Attributes:
        python: ``3.11``: which interpreter.
        packages: Debian's.
        wheels: of PyPI, pinned; those that are not are taken in this machine's version.
        suite: of Debian; None takes this machine's own.
    """

    python: str
    packages: tuple[str, ...]
    wheels: tuple[str, ...]
    suite: str | None = None

    @property
    def pins(self) -> tuple[str, ...]:
        """Every wheel with its version."""
        return tuple(name if "==" in name else f"{name}=={version(name)}" for name in self.wheels)


NEW = Recipe(
    "3.11",
    ("python3.11", "libstdc++6"),
    (
        "iniconfig", "ml_dtypes", "numpy", "onnx", "onnxruntime==1.20.1", "openvino", "packaging", "pillow", "pluggy",
        "protobuf", "psutil", "pygments", "pytest", "typing_extensions",
    ),
)  # fmt: skip
"""The Python and the versions of a workstation; but ONNX Runtime 1.31 ends at its import under QEMU 7.2."""

OLD = Recipe(
    "3.9",
    ("python3.9", "python3-numpy", "libstdc++6"),
    (
        "exceptiongroup==1.2.2", "iniconfig==2.0.0", "openvino==2024.3.0", "packaging==24.1", "pillow==10.4.0",
        "pluggy==1.5.0", "pytest==8.3.5", "tomli==2.0.1", "typing_extensions==4.12.2",
    ),
    "bullseye",
)  # fmt: skip
"""The oldest that there is for aarch64 outside of JetPack: Debian 11's Python 3.9 with numpy 1.19.5. No Debian had
Python 3.8, and numpy 1.17.4 has no wheel for aarch64; both together run on x86-64 (``make py38``)."""


@dataclass(frozen=True)
class Space:
    """An unpacked user space.

    Attributes:
        root: its ``/``.
        version: of its Python.
    """

    root: Path
    version: str = NEW.python

    @property
    def packages(self) -> Path:
        """Where its Python looks for installed packages."""
        return self.root / "usr" / "lib" / "python3" / "dist-packages"

    def command(self, program: Path, *words: object) -> list[str]:
        """The words that run an aarch64 program; a path that the root has is the root's, any other this machine's."""
        return [EMULATOR, "-cpu", CPU, "-L", str(self.root), str(program), *map(str, words)]

    def python(self, *words: object) -> list[str]:
        """The words that run its Python."""
        return self.command(self.root / "usr" / "bin" / f"python{self.version}", "-B", *words)


def make_space(folder: Path, recipe: Recipe = NEW) -> Space:
    """Fetch and unpack the user space into ``folder``, or find it there.

    Raises:
        subprocess.CalledProcessError: APT or pip could not fetch; their message is on stderr.
    """
    space = Space(folder / "root", recipe.python)
    wanted = " ".join([*recipe.packages, *recipe.pins])
    done = folder / "unpacked.txt"
    if done.is_file() and done.read_text() == wanted:
        return space
    # What an earlier recipe left, or an unpacking that was stopped, would be taken for this one's.
    done.unlink(missing_ok=True)
    for old in (space.root, folder / "wheels", folder / "apt"):
        shutil.rmtree(old, ignore_errors=True)
    for package in _fetch_packages(folder, recipe):
        subprocess.run(["dpkg", "-x", package, space.root], check=True)
    for wheel in _fetch_wheels(folder / "wheels", recipe):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(space.packages)
    _link_alternatives(space.root)
    done.write_text(wanted)
    return space


def with_files(space: Space, tree: Path, folder: Path) -> Space:
    """The same user space with the files of ``tree`` at their real paths, in ``folder`` (hard links, no copies)."""
    subprocess.run(["cp", "--archive", "--link", "--force", f"{space.root}/.", folder], check=True)
    subprocess.run(["cp", "--archive", "--force", f"{tree}/.", folder], check=True)
    return Space(folder)


def _fetch_packages(folder: Path, recipe: Recipe) -> list[Path]:
    state, cache = folder / "apt", folder / "apt" / "cache"
    for place in (state / "lists" / "partial", cache / "archives" / "partial"):
        place.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    text = _APT.format(state=state.absolute(), cache=cache.absolute())
    if recipe.suite is not None:
        (state / "sources.list").write_text(
            f"deb [signed-by={_KEYS}] http://deb.debian.org/debian {recipe.suite} main\n"
        )
        text += f'Dir::Etc::sourcelist "{state.absolute()}/sources.list";\nDir::Etc::sourceparts "-";\n'
    (state / "apt.conf").write_text(text)
    environment = {**os.environ, "APT_CONFIG": str((state / "apt.conf").absolute())}
    fetch = ("install", "--yes", "--quiet=2", "--no-install-recommends", "--download-only", *recipe.packages)
    for words in (("update", "--quiet=2"), fetch):
        subprocess.run(["apt-get", *words], env=environment, check=True, stdout=subprocess.DEVNULL)
    return sorted((cache / "archives").glob("*.deb"))


def _fetch_wheels(folder: Path, recipe: Recipe) -> list[Path]:
    tag = recipe.python.replace(".", "")
    platforms = [word for name in _PLATFORMS for word in ("--platform", f"{name}_aarch64")]
    python = ["--python-version", tag, "--implementation", "cp"]
    abis = [word for name in (f"cp{tag}", "abi3", "none") for word in ("--abi", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
    subprocess.run([*command, *platforms, *python, *abis, *recipe.pins], check=True)
    return sorted(folder.glob("*.whl"))


def _link_alternatives(root: Path) -> None:
    """What packages leave to ``update-alternatives``, which is not run: BLAS and LAPACK where the loader looks."""
    libraries = root / "usr" / "lib" / "aarch64-linux-gnu"
    for folder in ("blas", "lapack"):
        for library in (libraries / folder).glob("*.so.3"):
            link = libraries / library.name
            if not link.exists():
                link.symlink_to(f"{folder}/{library.name}")
