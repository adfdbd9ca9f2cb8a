"""The bench of a board that verifies a bundle: its candidates built, checked and timed here, by the steps of
:mod:`edge.latency.trial`."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence

import numpy as np

from ..backends.compiler import BoardCandidate
from ..backends.runner import Layer, Runner
from ..errors import EdgeError, MachineError
from ..latency.trial import Advance, Effort, Refusal, Timed, silent
from ..machine.rails import Power
from .clock import measure_idle, time_runners
from .engines import CachedEngine, obtain
from .proof import ProofJob, check

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..accuracy.evaluate import Evaluation
    from ..latency.trial import Rows

    Array = NDArray[np.float32]


class BundleBench:
    """Real engines of one bundle on this board.

    Args:
        job: bundle, compiler and images.
        workspace: bytes of scratch memory for the builder.
    """

    def __init__(self, job: ProofJob, workspace: int) -> None:
        self._job, self._workspace = job, workspace
        self._kept: dict[str, CachedEngine] = {}
        self.idle: Power | None = None

    def build(self, candidate: BoardCandidate, folder: Path) -> CachedEngine | Refusal:
        """See :class:`~edge.latency.trial.Builds`; an engine of an earlier run that still fits is taken."""
        job = self._job
        try:
            engine = obtain(
                job.compiler,
                job.identity,
                job.manifest,
                candidate,
                job.bundle,
                folder,
                job.work,
                job.seal,
                self._workspace,
                job.say,
                job.task.output_name,
            )
        except EdgeError as fault:
            return _refusal(candidate, fault)
        self._kept[candidate.name] = engine
        return engine

    def check(
        self, candidate: BoardCandidate, standard: Evaluation, advance: Advance = silent
    ) -> dict[str, Any] | Refusal:
        """See :class:`~edge.latency.trial.Checks` and :func:`.proof.check`, whose result it is.

        Args:
            standard: the reference, on the job's images.
        """
        try:
            return check(self._job, self._kept[candidate.name], standard, advance)
        except EdgeError as fault:
            return _refusal(candidate, fault)

    def times(
        self,
        candidates: Sequence[BoardCandidate],
        inputs: Sequence[Array],
        effort: Effort,
        advance: Advance = silent,
    ) -> Rows | None:
        """See :class:`~edge.latency.trial.Times`; with what each draws, where the board has monitors."""
        job = self._job
        if effort.energy:
            self.idle = measure_idle(job.options.root)
        runners: dict[str, Runner] = {}
        outputs: dict[str, Array] = {}
        refused: dict[str, Refusal] = {}
        with ExitStack() as stack:
            for candidate in candidates:
                try:
                    runner = stack.enter_context(closing(self._kept[candidate.name].load(job.compiler)))
                    outputs[candidate.name] = np.concatenate([runner.run(image) for image in inputs])
                    runners[candidate.name] = runner
                except EdgeError as fault:
                    refused[candidate.name] = _refusal(candidate, fault)
            job.say(f"timing {', '.join(runners) or 'nothing'} in turn, {effort.seconds:g} s each")
            idle = self.idle if effort.energy else None
            measured = time_runners(runners, inputs[0], effort.seconds, effort.runs, idle, job.options.root, advance)
        return [refused.get(one.name) or Timed(measured[one.name], outputs[one.name]) for one in candidates]

    def layers(self, candidate: BoardCandidate) -> tuple[Layer, ...]:
        """What the compiler says it runs, with why each was left float; for a candidate that was built."""
        with closing(self._kept[candidate.name].load(self._job.compiler)) as runner:
            layers = runner.layers()
        return tuple(replace(one, reason=one.reason or candidate.reasons.get(one.name, "")) for one in layers)


def _refusal(candidate: BoardCandidate, fault: EdgeError) -> Refusal:
    """Another engine may do where one does not, so a fault of the machine is an answer here, too."""
    return Refusal(candidate.name, candidate.precision, str(fault), isinstance(fault, MachineError))
