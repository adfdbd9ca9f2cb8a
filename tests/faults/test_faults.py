"""A few faults of each kind, at events drawn by a seed; ``make faults`` injects every kind at every event."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator

import pytest

from tests.faults.campaign import KINDS, Kind, cases, run, together
from tests.faults.deployments import Deployments, digest, fault_of_run

SEED = 20261129


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployments]:
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("faults are injected by a preloaded library, on Linux, with a C compiler")
    served = Deployments(tmp_path_factory.mktemp("faults"))
    yield served
    served.close()


@pytest.mark.slow
def test_a_deployment_writes_flushes_and_renames_what_is_counted(deployments: Deployments) -> None:
    assert min(deployments.points.values()) >= 10 and deployments.native >= 10
    assert fault_of_run(deployments.out) == "" and deployments.left() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_old_run_or_the_new_one_is_whole(kind: Kind, deployments: Deployments) -> None:
    of_kind = [case for case in cases(deployments) if case[0] == kind]
    early = of_kind[: len(of_kind) // 2]  # near the end a signal comes too late to change anything
    case = random.Random(f"{SEED} {kind.name}").choice(early)
    result = run(deployments, [case])
    assert result.findings == []
    if kind.codes == (130,):  # one write that fails may be one that the run can do without
        assert result.idle() == []


@pytest.mark.slow
def test_a_kill_at_the_last_rename_leaves_the_new_run(deployments: Deployments) -> None:
    before = digest(deployments.out)
    (kind,) = [kind for kind in KINDS if kind.name == "killed after"]
    last = [case for case in cases(deployments) if case[0] == kind][-2:]
    result = run(deployments, last)  # the rename, and the flush of its folder
    assert result.findings == []
    assert digest(deployments.out) != before


@pytest.mark.slow
def test_two_runs_into_one_folder_both_end_well(deployments: Deployments) -> None:
    assert together(deployments, 1) == []
