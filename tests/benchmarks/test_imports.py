"""Every benchmark can be imported: a name that has moved is found here, not when a long run is wanted."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
    if path.name not in ("__init__.py", "quantize_aimet.py", "quantize_modelopt.py", "quantize_nncf.py")
)


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_imports(name: str) -> None:
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        assert missing not in ("benchmarks", "edge", "models", "tests"), error
        pytest.skip(f"{missing} is not installed")
