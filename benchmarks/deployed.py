"""Run folders for benchmarks: one ``edge deploy`` a network, taken again where it still holds."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.run import GATE
from edge.files import read_json
from edge.loading import load_model
from edge.pipeline.deploy import run_deploy
from edge.pipeline.progress import NullProgress
from edge.pipeline.session import Request


@dataclass(frozen=True)
class Deployment:
    """How networks are deployed.

    Attributes:
        data: image set.
        runs: folder of run folders, one named after each network.
        reuse: take a run folder that is there, unless the network has changed since.
        budget_seconds: of the precision search.
        threads: CPU threads.
    """

    data: Path
    runs: Path
    reuse: bool
    budget_seconds: float
    threads: int

    def folder(self, model: Path) -> Path:
        """The run folder of a model folder, deployed now if need be."""
        run = self.runs / model.name
        if not (self.reuse and holds(run, model)):
            request = Request(
                model=str(model),
                data=self.data,
                gate=GATE,
                budget_seconds=self.budget_seconds,
                out=run,
                threads=self.threads,
                command=" ".join(sys.argv),
            )
            run_deploy(request, NullProgress())
        return run.resolve()


def holds(run: Path, model: Path) -> bool:
    """Whether a run is of these very weights: a peer that runs them in PyTorch would be compared with others."""
    report = run / "report.json"
    return report.is_file() and read_json(report)["model"]["sha256"] == load_model(str(model), None, None).sha256
