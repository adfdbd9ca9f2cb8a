"""A run folder, opened for packing: its report, its graphs, and the images it was scored on."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.gate import NONE, Gate, load_gate
from edge.backends.engine import MANIFEST, Engine, read_engine
from edge.errors import InputError
from edge.files import sha256_file
from edge.graph.model import Model, read_model
from edge.images.image_set import ImageSet, load_image_set
from edge.report.results import Report
from edge.report.store import OUTPUTS, read_report
from edge.safety.guard import parsing, require_regular
from edge.storage.arrays import read_arrays

GRAPH = "graph.onnx"


@dataclass(frozen=True)
class Run:
    """What ``edge deploy`` left behind.

    Attributes:
        folder: the run folder.
        report: its ``report.json``.
        source: the float graph.
        engines: those with a graph, each with that graph.
    """

    folder: Path
    report: Report
    source: Model
    engines: tuple[tuple[Engine, Model], ...]

    def option(self, name: str) -> str | None:
        """Value of an option on the run's command line, None where it was not given."""
        with parsing(f"{self.folder}/report.json", "sound (its command)", "deploy again"):
            words = shlex.split(self.report.command)
        for index, word in enumerate(words):
            if word == name and index + 1 < len(words):
                return words[index + 1]
            if word.startswith(name + "="):
                return word.partition("=")[2]
        return None

    def gate(self) -> Gate | None:
        """The gate that the run was judged by.

        Raises:
            InputError: it was a file that is not there any more.
        """
        names = {row.gate.preset for row in self.report.engines}
        spec = self.option("--gate") or next(iter(names), NONE)
        try:
            return load_gate(spec)
        except InputError as error:
            path = next((p / spec for p in self._bases() if (p / spec).is_file()), None)
            if path is None:
                raise error
            return load_gate(str(path))

    def images(self, data: Path | None) -> ImageSet:
        """The images that the run was scored on.

        Args:
            data: the folder; None looks where the run's command line says.

        Raises:
            InputError: not found, or not the same images any more.
        """
        part = self.report.data.evaluation
        given = data or self._data()
        if given is None:
            raise InputError(
                f"{self.folder}: its images are not where its command line says; run this from the folder that edge "
                "deploy was run from, or use --no-images (images=False: the only way for a run on arrays in memory)"
            )
        images = load_image_set(given)
        images = images.split(part.split) if part.split else images
        if images.sha256() != part.sha256:
            raise InputError(f"{given}: not the images that {self.folder} was scored on; deploy again")
        return images

    def reference(self) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        """Names and float outputs ``[n, maps, height, width]`` of the scored images.

        Raises:
            InputError: missing or damaged.
        """
        path = self.folder / OUTPUTS
        require_regular(path, "array file")
        if sha256_file(path) != self.report.reference.outputs_sha256:
            raise InputError(f"{path}: is not the one that the report of this run was made with; deploy again")
        arrays = read_arrays(path, ("names", "outputs"), "deploy again")
        names, outputs = arrays["names"], arrays["outputs"]
        if names.dtype.kind != "U" or names.ndim != 1 or outputs.dtype.kind != "f" or len(outputs) != len(names):
            raise InputError(f"{path}: does not hold one output a name; deploy again")
        return tuple(map(str, names)), outputs.astype(np.float32)

    def _data(self) -> Path | None:
        spec = self.option("--data")
        if spec is None:
            return None
        return next((base / spec for base in self._bases() if (base / spec).is_dir()), None)

    def _bases(self) -> tuple[Path, ...]:
        """Folders that a relative path on the command line may start from: here, or above the run."""
        return (Path.cwd(), *self.folder.resolve().parents)


def open_run(folder: Path) -> Run:
    """Read a run folder and check every engine in it.

    Raises:
        InputError: not a run folder, damaged, or without any graph.
    """
    report = read_report(folder)
    engines = []
    for row in report.engines:
        path = folder / row.path if row.path else None
        if path is None or not (path / MANIFEST).is_file() or not (path / GRAPH).is_file():
            continue
        engine = read_engine(path)
        model = read_model(path / GRAPH)
        if model.sha256 != engine.graph_sha256:
            raise InputError(f"{path / GRAPH}: was changed since the engine was built; deploy again")
        if model.task != engine.task:
            raise InputError(f"{path / GRAPH}: has another task than its engine was built for; deploy again")
        engines.append((engine, model))
    if not engines:
        raise InputError(f"{folder}: holds no engine with its graph; run edge deploy first")
    return Run(folder, report, read_model(folder / "source.onnx"), tuple(engines))
