"""Doors to other frameworks: what their folders say of a network, its weights and its preprocessing.

================  =========================================================  ==================
MODEL             what it is                                                 install
================  =========================================================  ==================
``nnunet:FOLDER`` an nnU-Net v2 result, its 2-D configuration                ``segedge[nnunet]``
``monai:BUNDLE``  a MONAI bundle with a network of ``monai.networks.nets``   ``segedge[monai]``
``hf:FOLDER``     a Hugging Face folder with safetensors                     ``segedge[hf]``
``smp:NAME``      ``Unet/resnet34`` with weights, or a saved folder          ``segedge[smp]``
================  =========================================================  ==================

Folders are local, nothing is downloaded, nothing is unpickled, and no code or expression in a folder is run: only
classes of the framework itself are built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from edge.errors import InputError
from edge.graph.model import Model
from edge.task.task import SegmentationTask

Door = Callable[[str, Path | None, SegmentationTask | None], Model]

DOORS: Mapping[str, str] = {
    "nnunet": "edge.loading.doors.nnunet",
    "monai": "edge.loading.doors.monai_bundle",
    "hf": "edge.loading.doors.hugging_face",
    "smp": "edge.loading.doors.smp",
}


def find_door(spec: str) -> tuple[Door, str] | None:
    """The door that a model's name asks for and what is behind it; None for any other name.

    Raises:
        InputError: nothing is named behind the door.
    """
    prefix, _, named = spec.partition(":")
    if prefix not in DOORS:
        return None
    if not named:
        raise InputError(f"{spec}: names nothing; write {prefix}:{'Unet/resnet34' if prefix == 'smp' else 'FOLDER'}")
    door: Door = import_module(DOORS[prefix]).load
    return door, named
