"""The libraries of the extra ``medical``: imported when the first file asks for one."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from edge.errors import MachineError


def medical(module: str, path: Path) -> Any:
    """A library that reads medical files.

    Raises:
        MachineError: it is not installed; names the file that needs it and the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MachineError(f"{path}: needs {package} ({error}); pip install 'segedge[medical]'") from None
