"""OpenVINO's CPU plugin as a compiler: an ONNX graph in, its IR out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Iterable

from ...machine.cores import physical_cores
from ...machine.machine import read_machine
from ..compiler import BoardCandidate, Built, Compiler, Identity
from .faults import openvino_faults
from .network import compile_network, count_convolutions, read_network, save_network, version
from .runner import OpenVinoRunner, capabilities, load_network, require_precision

ARTEFACT, WEIGHTS = "model.xml", "model.bin"


class OpenVinoCompiler(Compiler):
    """OpenVINO for this machine's CPU."""

    def identity(self) -> Identity:
        """OpenVINO's version, and the CPU with what it computes in."""
        able = " ".join(sorted(capabilities()))
        return Identity("OpenVINO", version().split("-")[0], read_machine().model, able)

    def build(self, candidate: BoardCandidate, graph: Path, folder: Path, timings: Path, workspace: int) -> Built:
        """Compile and store the IR; neither timings nor a workspace are used."""
        where = f"graph {candidate.name}"
        return compile_graph(graph.read_bytes(), candidate.rest, folder, where, nodes=candidate.nodes)

    def load(self, candidate: BoardCandidate, folder: Path, built: Built, output: str | None) -> OpenVinoRunner:
        """Compile the IR for this CPU, for all its physical cores."""
        return load_network(folder / built.artefact, candidate.rest, None, output)


def compile_graph(
    graph: bytes, rest: str, folder: Path, where: str, name: str = "", nodes: Iterable[str] = ()
) -> Built:
    """Compile once, to be sure that it does and to count what runs, and store OpenVINO's IR.

    Args:
        graph: serialized ONNX.
        rest: precision of whatever is not quantized: fp32, bf16 or fp16.
        folder: existing; gets the IR.
        where: the graph, for an error's sentence.
        name, nodes: see :func:`.network.read_network`.

    Raises:
        InputError: OpenVINO refuses the graph.
        MachineError: OpenVINO is not installed, or this CPU lacks the precision.
    """
    require_precision(rest)
    start = time.perf_counter()
    with openvino_faults(where):
        network = read_network(graph, name, nodes)
        compiled = compile_network(network, rest, physical_cores())
        save_network(network, folder / ARTEFACT)
        return Built(ARTEFACT, (ARTEFACT, WEIGHTS), time.perf_counter() - start, count_convolutions(compiled))
