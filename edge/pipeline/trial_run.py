"""Engines of a run as they come: each built and checked once, the first that passes announced."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.accuracy.check import Standard
from edge.accuracy.checked import Checked
from edge.backends.engine import MANIFEST, Candidate, Engine
from edge.files import replaced_folder
from edge.latency.trial import Refusal, build_each, check_each
from edge.pipeline.session import Job

ENGINES = "engines"

CheckedEngine = tuple[Candidate, Engine, Checked]


@dataclass
class TrialRun:
    """What was built and checked so far.

    Attributes:
        job: with the bench.
        standard: the evaluation images and the gate.
        folder: of the run.
        checked: engines with their verdicts, in the order they came.
        refusals: what a compiler refused, or what could not run the images.
    """

    job: Job
    standard: Standard
    folder: Path
    checked: list[CheckedEngine] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    @property
    def passing(self) -> list[Engine]:
        """Engines that pass, in the order they came."""
        return [engine for _, engine, checked in self.checked if checked.verdict.passed]

    def add(self, candidates: Sequence[Candidate], kind: str = "") -> None:
        """Build and check those that are new by name; one that its compiler refuses becomes a refusal, not the end.

        Args:
            candidates: to build.
            kind: what the two stages are called besides.
        """
        fresh = [candidate for candidate in candidates if candidate.name not in self._seen]
        self._seen.update(candidate.name for candidate in fresh)
        if fresh:
            self._check(self._build(fresh, kind), kind)

    def keep(self, out: Path) -> Path | None:
        """Copy the last engine that passes, the only thing worth keeping of a run that does not end.

        Args:
            out: of the run that was to be.

        Returns:
            Its folder, beside ``out``; None where nothing passes.
        """
        if not self.passing:
            return None
        engine = self.passing[-1]
        kept = out.with_name(f"{out.name}-interrupted") / engine.name
        with replaced_folder(kept, MANIFEST) as fresh:
            shutil.copytree(engine.folder, fresh, dirs_exist_ok=True)
        return kept

    def _build(self, candidates: Sequence[Candidate], kind: str) -> list[tuple[Candidate, Engine]]:
        with self.job.clock.stage(f"build {kind}".strip(), len(candidates)) as advance:
            built, refusals = build_each(self.job.bench, candidates, self.folder / ENGINES, advance)
        self.refusals += refusals
        return built

    def _check(self, built: Sequence[tuple[Candidate, Engine]], kind: str) -> None:
        with self.job.clock.stage(f"check {kind}".strip(), len(self.standard.images) * len(built)) as advance:
            _, refusals = check_each(self.job.bench, built, self.standard, advance, self._keep)
        self.refusals += refusals

    def _keep(self, candidate: Candidate, engine: Engine, checked: Checked | Refusal) -> None:
        """Take a verdict as it comes; of an engine that cannot run the images nothing stays."""
        if isinstance(checked, Refusal):
            shutil.rmtree(engine.folder, ignore_errors=True)
            return
        if checked.verdict.passed and not self.passing:
            self._announce(engine, checked)
        self.checked.append((candidate, engine, checked))

    def _announce(self, engine: Engine, checked: Checked) -> None:
        retained = checked.accuracy.dice.retained
        spent = sum(self.job.clock.seconds.values())
        self.job.clock.progress.say(
            f"{engine.name} passes after {spent:.0f} s ({retained:.2%} of the Dice retained); Ctrl-C now keeps it"
        )
