"""SegEdge: the fastest engine for your device that still segments as well, with the proof.

::

    import edge

    run = edge.deploy("net.onnx", "my-images", task="task.toml", gate="99.9")
    with edge.load_engine(run) as engine:
        mask = engine.segment(rgb)

Names are imported when they are first used: ``import edge`` alone imports nothing heavy.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.api.boards import boards as boards
    from edge.api.build import build as build
    from edge.api.bundle import bundle as bundle
    from edge.api.calibrate import calibrate as calibrate
    from edge.api.check import check as check
    from edge.api.deploy import deploy as deploy
    from edge.api.estimate import estimate as estimate
    from edge.api.export import export as export
    from edge.api.fuse import fuse as fuse
    from edge.api.init import init as init
    from edge.api.inspect import inspect as inspect
    from edge.api.load_engine import load_engine as load_engine
    from edge.api.load_model import load_model as load_model
    from edge.api.profile import profile as profile
    from edge.api.quantize import quantize as quantize
    from edge.api.report import report as report
    from edge.api.segment import segment as segment
    from edge.api.sign import sign as sign
    from edge.api.sweep import sweep as sweep
    from edge.api.targets import targets as targets
    from edge.api.verify import verify as verify
    from edge.errors import InputError as InputError
    from edge.errors import MachineError as MachineError
    from edge.images.image_set import ImageSet as ImageSet
    from edge.task.task import SegmentationTask as Task

__version__ = "0.1.0"

_VERBS = (
    "boards", "build", "bundle", "calibrate", "check", "deploy", "estimate", "export", "fuse", "init", "inspect",
    "load_engine", "load_model", "profile", "quantize", "report", "segment", "sign", "sweep", "targets", "verify",
)  # fmt: skip
_OTHERS = {
    "ImageSet": ("edge.images.image_set", "ImageSet"),
    "InputError": ("edge.errors", "InputError"),
    "MachineError": ("edge.errors", "MachineError"),
    "Task": ("edge.task.task", "SegmentationTask"),
}
_PACKAGES = ("boards", "bundle", "report", "targets")  # called like functions, see CallablePackage

__all__ = ["ImageSet", "InputError", "MachineError", "Task", "__version__", *_VERBS]


def __getattr__(name: str) -> Any:
    """The public function or class of this name, imported now and kept."""
    if name in _PACKAGES:
        return import_module(f"edge.{name}")
    if name in _VERBS:
        found = getattr(import_module(f"edge.api.{name}"), name)
    elif name in _OTHERS:
        module, attribute = _OTHERS[name]
        found = getattr(import_module(module), attribute)
    else:
        raise AttributeError(f"module 'edge' has no attribute {name!r}")
    globals()[name] = found
    return found


class CallablePackage(ModuleType):
    """A package of parts that is called like the public function of its name.

    ``edge.report`` is a function to users and a package to us (``edge.report.html``). Importing a part of a package
    binds the package to that name, whatever function was bound to it before, so the package answers to both.
    """

    def __call__(self, *positional: Any, **named: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(f"edge.api.{name}"), name)(*positional, **named)


def make_callable(package: str) -> None:
    """Let the package of this full name be called."""
    sys.modules[package].__class__ = CallablePackage


def __dir__() -> list[str]:
    """Everything public, whether or not it was imported already."""
    return sorted({*globals(), *__all__})
