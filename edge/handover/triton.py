"""A model repository for Triton Inference Server, of a run's chosen engine or of its float network.

::

    OUT/NAME/config.pbtxt
    OUT/NAME/1/model.xml, model.bin    OpenVINO
               model.plan              TensorRT: on the machine whose TensorRT built it
               model.onnx              ONNX Runtime

The server runs the network alone: float32 at the task's size in, its output out, one image a request, as the engine was
proven. What makes pixels of that and a mask of the output is the task, which ``config.pbtxt`` carries as the parameter
``segedge.task``; clients apply it (:class:`edge.Task`). Written by the documented format; not run in a Triton server.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.backends.engine import Engine
from edge.errors import InputError
from edge.files import replaced_folder, write_text
from edge.graph.model import Model

CONFIGURATION = "config.pbtxt"
SERVED: Mapping[str, tuple[str, str]] = {
    "openvino": ("openvino", "model.xml"),
    "onnxruntime": ("onnxruntime", "model.onnx"),
    "tensorrt": ("tensorrt", "model.plan"),
}
"""Backend of an engine to Triton's name for it, and the file it looks for."""


@dataclass(frozen=True)
class Served:
    """What goes into the repository.

    Attributes:
        backend: Triton's.
        files: name in the repository to the file it is copied from.
        source: one line for a reader of the configuration: what this is and what was proven of it.
    """

    backend: str
    files: Mapping[str, Path]
    source: str


def serve_engine(engine: Engine) -> Served:
    """The engine's own artefact.

    Raises:
        InputError: Triton has nothing that runs it.
    """
    if engine.backend not in SERVED:
        raise InputError(
            f"{engine.folder}: Triton runs no engine of {engine.backend}; --reference exports the float network for "
            "its ONNX Runtime backend"
        )
    backend, name = SERVED[engine.backend]
    files = {name: engine.folder / engine.artefact}
    for other in engine.artefact_sha256:
        if other != engine.artefact:  # OpenVINO's weights lie beside its graph, under the same stem
            files[f"model{Path(other).suffix}"] = engine.folder / other
    versions = ", ".join(f"{name} {version}" for name, version in engine.versions.items())
    return Served(backend, files, f"engine {engine.name} of SegEdge for {engine.target}, proven with {versions}")


def serve_float(graph: Path) -> Served:
    """The float network, for ONNX Runtime."""
    return Served("onnxruntime", {"model.onnx": graph}, "the float network of a SegEdge run, before any engine")


def write_repository(served: Served, graph: Model, name: str, out: Path) -> Path:
    """Write the model's folder into the repository.

    Args:
        served: what is copied.
        graph: the run's float network: names and shapes of input and output, and the task.
        name: of the model in the server.
        out: the repository; other models in it stay.

    Returns:
        The model's folder; an earlier one of that name is replaced whole.

    Raises:
        InputError: a name that Triton cannot take.
        MachineError: the disk is full or the folder is not writable.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise InputError(f"--name {name}: use letters, digits, '_', '.' and '-', as a folder of Triton's may have")
    folder = out / name
    with replaced_folder(folder, CONFIGURATION) as place:
        (place / "1").mkdir()
        for file, origin in served.files.items():
            shutil.copyfile(origin, place / "1" / file)
        write_text(place / CONFIGURATION, configuration(served, graph, name))
    return folder


def configuration(served: Served, graph: Model, name: str) -> str:
    """``config.pbtxt``: batching off, since engines are proven for one image a request."""
    task = graph.task
    takes = _tensor(graph.input_name, (1, task.in_channels, *task.size))
    gives = _tensor(graph.output_name, (1, task.maps, *task.size))
    return f"""# {served.source}
name: {json.dumps(name)}
backend: "{served.backend}"
max_batch_size: 0
input [ {takes} ]
output [ {gives} ]
instance_group [ {{ kind: {"KIND_GPU" if served.backend == "tensorrt" else "KIND_CPU"} count: 1 }} ]
parameters {{ key: "segedge.task" value {{ string_value: {json.dumps(task.to_json())} }} }}
"""


def _tensor(name: str, shape: tuple[int, ...]) -> str:
    return f"{{ name: {json.dumps(name)} data_type: TYPE_FP32 dims: [ {', '.join(map(str, shape))} ] }}"
