"""Being here puts ``tests/`` on the path, so that any test can ``from tests.fixtures.<file> import ...``."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def has_gpu() -> bool:
    """Whether NVIDIA's own tool sees a GPU here."""
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("needs_gpu")]
    if marked and not has_gpu():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))
