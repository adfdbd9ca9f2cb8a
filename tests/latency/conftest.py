from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.backends.engine import Candidate, Engine, Runner
from edge.backends.openvino.backend import OpenVino
from edge.targets.target import find_target
from tests.fixtures.small_unet import small_unet


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The small U-Net in OpenVINO, fp32."""
    folder: Path = tmp_path_factory.mktemp("engine")
    return OpenVino().build(Candidate("fp32", "fp32", "fp32", small_unet()), find_target("cpu"), folder)


@pytest.fixture
def runner(engine: Engine) -> Iterator[Runner]:
    runner = OpenVino().load(engine, threads=1)
    yield runner
    runner.close()
