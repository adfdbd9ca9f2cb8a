"""What a machine says about itself in ``/proc``, ``/sys`` and ``/etc``. Reads files only; nothing needs root.

The root is an argument, so that recorded trees can be read. Sources: NVIDIA's Jetson Linux developer guide (device
tree, ``nv_tegra_release``, nvpmodel, devfreq), the kernel's documentation of cpufreq, devfreq and thermal zones.
"""

from __future__ import annotations

import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Iterable

from .jetson import Module, find_module, jetpack_of

ROOT = Path("/")
_RELEASE = re.compile(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)")
_POWER_MODEL = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=([^\s>]+)")
_GPU_CLOCK = re.compile(r"(^|[.-])(gpu|gpc|ga10b|gv11b|gp10b|gm20b)")

# Instruction sets that decide which kernels run, as the kernel names them: x86 flags, then Arm features.
_ISA = (
    "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme",
)  # fmt: skip


@dataclass(frozen=True)
class Clock:
    """A clock's range in kHz (CPU) or Hz (GPU); ``fixed`` where lowest and highest are the same."""

    governor: str
    current: int
    lowest: int
    highest: int

    @property
    def fixed(self) -> bool:
        """Whether nothing may change it, as jetson_clocks leaves it."""
        return self.lowest == self.highest > 0


@dataclass(frozen=True)
class Machine:
    """This machine. What it does not say is None or empty.

    Attributes:
        architecture: aarch64, x86_64, ...
        model: device-tree model, or the CPU's name.
        module: the Jetson module, None for anything else.
        l4t, jetpack: Jetson Linux release and what JetPack it belongs to.
        tensorrt: version of the installed TensorRT libraries, from the package database.
        memory_bytes, free_bytes: total, and available without swapping.
        power_mode: nvpmodel's mode by name.
        power_modes: all of them, by ID.
        gpu_clock, cpu_clocks: ranges and governors.
        temperatures: thermal zone to degrees Celsius.
        dla: DLA engines in the device tree.
        isa: CPU instruction sets that decide which kernels run.
    """

    architecture: str
    model: str
    module: Module | None
    l4t: str | None
    jetpack: str | None
    tensorrt: str | None
    memory_bytes: int
    free_bytes: int
    power_mode: str | None
    power_modes: tuple[tuple[int, str], ...]
    gpu_clock: Clock | None
    cpu_clocks: tuple[Clock, ...]
    temperatures: tuple[tuple[str, float], ...]
    dla: int
    isa: tuple[str, ...]

    @property
    def clocks_fixed(self) -> bool:
        """Whether GPU and CPU clocks are held still (jetson_clocks, or a fixed governor range)."""
        clocks = [*self.cpu_clocks, *((self.gpu_clock,) if self.gpu_clock else ())]
        return bool(clocks) and all(clock.fixed for clock in clocks)

    @property
    def scratch_bytes(self) -> int:
        """What a builder may use: half of the free memory, from 256 MiB to 4 GiB; 1 GiB where it is not known."""
        return max(256 << 20, min(self.free_bytes // 2, 4 << 30)) if self.free_bytes else 1 << 30

    def to_json(self) -> dict[str, Any]:
        """What a report records under ``environment``."""
        table = asdict(self)
        table["module"] = self.module.title if self.module else None
        table["temperatures"] = dict(self.temperatures)
        table["power_modes"] = {str(number): name for number, name in self.power_modes}
        table["cpu_clocks"] = [asdict(clock) for clock in sorted(set(self.cpu_clocks), key=str)]
        return {**table, "isa": list(self.isa), "clocks_fixed": self.clocks_fixed}


def read_machine(root: Path = ROOT, architecture: str | None = None) -> Machine:
    """Read everything there is.

    Args:
        root: where ``proc``, ``sys``, ``etc`` and ``var`` lie.
        architecture: of a recorded tree; None asks this machine.
    """
    compatible = text(root / "proc/device-tree/compatible").split("\0")
    cpuinfo = text(root / "proc/cpuinfo")
    memory = _meminfo(text(root / "proc/meminfo"))
    l4t = _l4t(root)
    modes = tuple((int(n), name) for n, name in _POWER_MODEL.findall(text(root / "etc/nvpmodel.conf")))
    return Machine(
        architecture=architecture or platform.machine(),
        model=text(root / "proc/device-tree/model").strip("\0 \n") or _cpu_name(cpuinfo),
        module=find_module(compatible, memory.get("MemTotal", 0)),
        l4t=l4t,
        jetpack=jetpack_of(l4t) if l4t else None,
        tensorrt=_package(root, ("libnvinfer-bin", "libnvinfer10", "libnvinfer11", "libnvinfer8")),
        memory_bytes=memory.get("MemTotal", 0),
        free_bytes=memory.get("MemAvailable", 0),
        power_mode=_power_mode(root, dict(modes)),
        power_modes=modes,
        gpu_clock=_gpu_clock(root),
        cpu_clocks=tuple(_cpu_clocks(root)),
        temperatures=tuple(_temperatures(root)),
        dla=_dla(root),
        isa=isa(cpuinfo),
    )


def text(path: Path) -> str:
    """A file's text, empty where it is missing or cannot be read (a rail or zone that is off answers with an error)."""
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def number(path: Path) -> int | None:
    """A file's first integer, None where it holds none."""
    match = re.match(r"\s*(-?\d+)", text(path))
    return int(match.group(1)) if match else None


def _l4t(root: Path) -> str | None:
    match = _RELEASE.search(text(root / "etc/nv_tegra_release"))
    if match:
        return f"{match.group(1)}.{match.group(2)}"
    package = _package(root, ("nvidia-l4t-core",))
    return package.split("-")[0] if package else None


def _package(root: Path, names: Iterable[str]) -> str | None:
    """Upstream version of the first of these that dpkg has installed."""
    database = text(root / "var/lib/dpkg/status")
    for name in names:
        match = re.search(rf"^Package: {re.escape(name)}\n((?:.+\n)*)", database, re.MULTILINE)
        version = re.search(r"^Version: (\S+)", match.group(1), re.MULTILINE) if match else None
        if match and version and " installed" in match.group(1):
            return version.group(1)
    return None


def _meminfo(table: str) -> dict[str, int]:
    return {key: int(kb) * 1024 for key, kb in re.findall(r"^(\w+):\s+(\d+) kB", table, re.MULTILINE)}


def _power_mode(root: Path, names: dict[int, str]) -> str | None:
    match = re.search(r"pmode:(\d+)", text(root / "var/lib/nvpmodel/status"))
    if match:
        mode = int(match.group(1))
        return names.get(mode, f"mode {mode}")
    return text(root / "sys/firmware/acpi/platform_profile").strip() or None


def _gpu_clock(root: Path) -> Clock | None:
    for folder in sorted((root / "sys/class/devfreq").glob("*")):
        if _GPU_CLOCK.search(folder.name):
            return _clock(folder, "governor", "cur_freq", "min_freq", "max_freq")
    return None


def _cpu_clocks(root: Path) -> Iterable[Clock]:
    for folder in sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq")):
        clock = _clock(folder, "scaling_governor", "scaling_cur_freq", "scaling_min_freq", "scaling_max_freq")
        if clock:
            yield clock


def _clock(folder: Path, governor: str, current: str, lowest: str, highest: str) -> Clock | None:
    values = [number(folder / name) for name in (current, lowest, highest)]
    if values[0] is None or values[1] is None or values[2] is None:
        return None
    return Clock(text(folder / governor).strip(), values[0], values[1], values[2])


def _temperatures(root: Path) -> Iterable[tuple[str, float]]:
    for folder in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        millidegrees = number(folder / "temp")
        if millidegrees is not None and millidegrees > -100_000:  # -256000: the sensor's block is off
            yield text(folder / "type").strip() or folder.name, millidegrees / 1000.0


def _dla(root: Path) -> int:
    tree = root / "proc/device-tree"
    nodes = {p.name for pattern in ("*/nvdla*", "*/host1x@*/nvdla*") for p in tree.glob(pattern)}
    return len([p for p in sorted(nodes) if not _disabled(tree, p)])


def _disabled(tree: Path, node: str) -> bool:
    states = [text(p / "status") for pattern in (f"*/{node}", f"*/host1x@*/{node}") for p in tree.glob(pattern)]
    return any(state.strip("\0 \n") == "disabled" for state in states)


def _cpu_name(cpuinfo: str) -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return match.group(1).strip() if match else platform.processor() or "unknown"


def isa(cpuinfo: str) -> tuple[str, ...]:
    """Instruction sets of ``/proc/cpuinfo`` that decide which kernels run, in a fixed order."""
    match = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    flags = set(match.group(1).split()) if match else set()
    return tuple(name for name in _ISA if name in flags)
