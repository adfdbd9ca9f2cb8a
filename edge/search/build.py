"""Build one engine: a candidate graph through its compiler into a folder that is complete by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge.backends.engine import MANIFEST, Backend, Candidate, Engine
from edge.files import replaced_folder
from edge.graph.model import Model, read_model
from edge.targets.target import Target

GRAPH = "graph.onnx"


def build_engine(backend: Backend, candidate: Candidate, target: Target, folder: Path) -> Engine:
    """Compile into ``folder``, swapped in whole, with the compiled graph beside the artefact.

    The graph stays with the engine so that anyone can check the compiler's arithmetic later.

    Raises:
        InputError: the compiler refuses the graph, or ``folder`` holds something else.
        MachineError: the compiler is missing, or the disk is full.
    """
    with replaced_folder(folder, MANIFEST) as fresh:
        engine = backend.build(candidate, target, fresh)
        candidate.model.save(fresh / GRAPH)
    return replace(engine, folder=folder)


def compiled_graph(engine: Engine) -> Model | None:
    """The graph an engine was compiled from, where its folder still holds it unchanged."""
    path = engine.folder / GRAPH
    if not path.is_file():
        return None
    model = read_model(path)
    return model if model.sha256 == engine.graph_sha256 else None
