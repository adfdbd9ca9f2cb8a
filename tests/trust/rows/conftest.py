"""What the tests of the rows share: the C++ tool, an engine, a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fixtures.discs import TASK
from tests.fixtures.runtime_kit import ROOT, build, make_engine


@pytest.fixture(scope="module")
def tool() -> Path:
    return build(ROOT / "build" / "runtime") / "segedge-run"


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return make_engine(tmp_path / "engine", TASK).folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    path = tmp_path / "pictures" / "a.png"
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)
    return path
