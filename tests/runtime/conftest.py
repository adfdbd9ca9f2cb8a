"""The C++ runtime, built once a session (``build/runtime``, as ``make runtime`` does)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.arm.programs import emulated
from tests.fixtures.runtime_kit import ROOT, Steps, build


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "programs" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)  # they build the library first


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest) -> Path:
    """Folder of ``segedge-run`` and ``tests/segedge-pixels``: this machine's, or with ``--arm`` the emulated ones."""
    arm = request.config.getoption("--arm")
    if arm is None:
        return build(ROOT / "build" / "runtime")
    return emulated(request.getfixturevalue("space"), request.getfixturevalue("arm_build"), arm / "programs")


@pytest.fixture(scope="session")
def run(programs: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls ``segedge-run`` with words."""

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        command = [str(programs / "segedge-run"), *(str(word) for word in words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return call


@pytest.fixture(scope="session")
def steps(programs: Path) -> Iterator[Steps]:
    """The C++ steps of a task on raw arrays."""
    with Steps(programs / "tests" / "segedge-pixels") as started:
        yield started
