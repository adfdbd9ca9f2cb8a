"""Tables: Jetson modules by part number, and which JetPack a Jetson Linux release belongs to.

Part numbers are the ``pNNNN-SSSS`` in the root ``compatible`` of the device tree (NVIDIA's developer guide, "Module and
carrier board part numbers"; device-tree sources). ``target`` is the name of SegEdge's target.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping, Sequence


@dataclass(frozen=True)
class Module:
    """A Jetson module.

    Attributes:
        part: part number.
        target: name of the SegEdge target.
        title: for people.
        soc: tegra194, tegra234, tegra264.
        sm: compute capability.
    """

    part: str
    target: str
    title: str
    soc: str
    sm: str


_ROWS = (
    ("p3767-0005", "jetson-orin-nano-8gb", "Jetson Orin Nano 8 GB (developer kit)", "tegra234", "8.7"),
    ("p3767-0003", "jetson-orin-nano-8gb", "Jetson Orin Nano 8 GB", "tegra234", "8.7"),
    ("p3767-0004", "jetson-orin-nano-4gb", "Jetson Orin Nano 4 GB", "tegra234", "8.7"),
    ("p3767-0000", "jetson-orin-nx-16gb", "Jetson Orin NX 16 GB", "tegra234", "8.7"),
    ("p3767-0001", "jetson-orin-nx-8gb", "Jetson Orin NX 8 GB", "tegra234", "8.7"),
    ("p3701-0000", "jetson-agx-orin-32gb", "Jetson AGX Orin 32 GB (developer kit)", "tegra234", "8.7"),
    ("p3701-0004", "jetson-agx-orin-32gb", "Jetson AGX Orin 32 GB", "tegra234", "8.7"),
    ("p3701-0005", "jetson-agx-orin-64gb", "Jetson AGX Orin 64 GB", "tegra234", "8.7"),
    ("p3701-0008", "jetson-agx-orin-64gb", "Jetson AGX Orin Industrial", "tegra234", "8.7"),
    ("p3668-0000", "jetson-xavier-nx", "Jetson Xavier NX 8 GB (developer kit)", "tegra194", "7.2"),
    ("p3668-0001", "jetson-xavier-nx", "Jetson Xavier NX 8 GB", "tegra194", "7.2"),
    ("p3668-0003", "jetson-xavier-nx", "Jetson Xavier NX 16 GB", "tegra194", "7.2"),
    ("p2888-0001", "jetson-agx-xavier", "Jetson AGX Xavier 16 GB", "tegra194", "7.2"),
    ("p2888-0004", "jetson-agx-xavier", "Jetson AGX Xavier 32 GB", "tegra194", "7.2"),
    ("p2888-0005", "jetson-agx-xavier", "Jetson AGX Xavier 64 GB", "tegra194", "7.2"),
    ("p3834-0008", "jetson-agx-thor", "Jetson AGX Thor (T5000)", "tegra264", "11.0"),
    ("p3448-0000", "jetson-nano", "Jetson Nano 4 GB (developer kit)", "tegra210", "5.3"),
    ("p3448-0002", "jetson-nano", "Jetson Nano 4 GB", "tegra210", "5.3"),
    ("p3310-1000", "jetson-tx2", "Jetson TX2", "tegra186", "6.2"),
    ("p3636-0001", "jetson-tx2", "Jetson TX2 NX", "tegra186", "6.2"),
)
MODULES: Mapping[str, Module] = {row[0]: Module(*row) for row in _ROWS}
_PART = re.compile(r"p\d{4}-\d{4}")

# The AGX Orin developer kit was shipped with 32 and with 64 GB under one part number; memory tells them apart.
_BY_MEMORY: Mapping[str, tuple[int, str]] = {"p3701-0000": (40 << 30, "p3701-0005")}

# Jetson Linux release (longest match first) to JetPack, TensorRT and Python.
_JETPACKS = (
    ("32.6", "4.6", "8.0", "3.6"),
    ("32.7", "4.6", "8.2", "3.6"),
    ("35.1", "5.0.2", "8.4", "3.8"),
    ("35.2", "5.1", "8.5", "3.8"),
    ("35.3", "5.1.1", "8.5", "3.8"),
    ("35.4", "5.1.2", "8.5", "3.8"),
    ("35.5", "5.1.3", "8.5", "3.8"),
    ("35.6", "5.1.4", "8.5", "3.8"),
    ("36.3", "6.0", "8.6", "3.10"),
    ("36.4.0", "6.1", "10.3", "3.10"),
    ("36.4", "6.2", "10.3", "3.10"),
    ("36.5", "6.2.2", "10.3", "3.10"),
    ("38.2", "7.0", "10.13", "3.12"),
    ("38.4", "7.1", "10.13", "3.12"),
    ("39.2", "7.2", "10.16", "3.12"),
)


def find_module(compatible: Sequence[str], memory_bytes: int = 0) -> Module | None:
    """The module named in the device tree's root ``compatible``, None where none is known.

    Args:
        compatible: strings of the property; the module's part number comes last in each.
        memory_bytes: tells apart boards that share a part number.
    """
    for entry in compatible:
        for part in reversed(_PART.findall(entry)):
            least, other = _BY_MEMORY.get(part, (0, part))
            if part in MODULES:
                return MODULES[other if memory_bytes >= least else part]
    return None


def jetpack_of(l4t: str) -> str | None:
    """JetPack of a Jetson Linux release (``36.4.3`` is 6.2), None where unknown."""
    row = _row(l4t)
    return row[1] if row else None


def tensorrt_of(l4t: str) -> str | None:
    """The TensorRT that this release's JetPack ships (major.minor), None where unknown."""
    row = _row(l4t)
    return row[2] if row else None


def _row(l4t: str) -> tuple[str, str, str, str] | None:
    # "36.4" and "36.4.0" are the same release; "36.4.7" is not.
    padded = l4t if l4t.count(".") > 1 else l4t + ".0"
    rows = [row for row in _JETPACKS if (padded + ".").startswith(row[0] + ".")]
    return max(rows, key=lambda row: len(row[0])) if rows else None
