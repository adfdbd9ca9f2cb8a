"""Being here puts ``tests/`` on the path, so that any test can ``from tests.fixtures.<file> import ...``."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.arm.programs import cross_build
from tests.arm.space import OLD, Space, make_space
from tests.fixtures.unplotted import unplotted

# Before torch is imported: its threads wait awake, which took three of four processor seconds of its tests.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

REWRITES = ("concat-conv-as-sum", "nearest-upsample-conv")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads what this user's deployments measured, nor adds to it; no command in its own process either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def same_numbers(request: pytest.FixtureRequest) -> None:
    """Each test draws from where its file's generators began: which tests ran before it, or where, changes nothing."""
    module = vars(request.module)
    for name, value in list(module.items()):
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = module.setdefault(f"{name}_BEGAN", value.bit_generator.state)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--arm", type=Path, metavar="FOLDER", help="emulate aarch64, with what that needs in FOLDER")


@pytest.fixture(scope="session")
def space(pytestconfig: pytest.Config) -> Space:
    """An emulated aarch64 user space."""
    folder = pytestconfig.getoption("--arm")
    if folder is None:
        pytest.skip("runs under emulation: make arm")
    return make_space(folder.absolute())


@pytest.fixture(scope="session")
def old_space(space: Space) -> Space:
    """Another, with a board's oldest Python and numpy, as far as there are such for aarch64."""
    return make_space(space.root.parent / "old", OLD)


@pytest.fixture(scope="session")
def arm_build(space: Space) -> Path:
    """The build folder of the C++ runtime, cross-compiled for it."""
    return cross_build(space, space.root.parent / "runtime")


def has_gpu() -> bool:
    """Whether NVIDIA's own tool sees a GPU here."""
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("needs_gpu")]
    if marked and not has_gpu():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


@pytest.fixture(scope="module")
def without_plots() -> Iterator[None]:
    """The module's deployments draw no plots."""
    with unplotted():
        yield


@pytest.fixture(scope="session")
def cpu_run(tmp_path_factory):
    """What ``edge deploy`` leaves for the CPU target: fp32 and int8 engines of a tiny U-Net, made in seconds."""
    from edge.fusion import fuse
    from edge.pipeline.deploy import run_deploy
    from edge.pipeline.progress import NullProgress
    from edge.pipeline.session import Request
    from tests.fixtures.bundle_example import picture_set, tiny_unet

    root = tmp_path_factory.mktemp("workstation")
    model = tiny_unet().save(root / "tiny.onnx")
    data = picture_set(root / "set")
    request = Request(
        model=str(model),
        data=data,
        precisions=("fp32", "int8"),
        gate="99",
        out=root / "run",
        latency_seconds=0.05,
        calibration_images=16,
        threads=1,
        command=f"edge deploy {model} --data {data} --gate 99",
    )
    with pytest.MonkeyPatch.context() as patch, unplotted():
        # Which are fastest differs from run to run, and with them whether INT8 changes a pixel: with these it does.
        patch.setattr(
            "edge.pipeline.deploy.fuse_for_target", lambda model, target, bench, proof, *_: fuse(model, REWRITES, proof)
        )
        _, out = run_deploy(request, NullProgress())
    return out
