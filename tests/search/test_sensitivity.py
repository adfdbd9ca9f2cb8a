"""Groups of nodes, what each gains and what it harms."""

from __future__ import annotations

import numpy as np
import pytest

from edge.quantization.schemes import plan_int8
from edge.search.sensitivity import Gain, groups, harm
from tests.fixtures.known_bench import (
    SCHEME,
)
from tests.fixtures.small_unet import TASK, small_litenext


def test_groups_share_a_tensor_and_cover_the_plan() -> None:
    model = small_litenext()
    plan = plan_int8(model, SCHEME)
    found = groups(model, plan.int8)
    assert sorted(node for group in found for node in group) == sorted(plan.int8)
    assert max(map(len, found)) > 1


def test_doubt_goes_to_int8_only_where_profiles_are_noisy() -> None:
    assert Gain(1.0, 0.5).pays(0.1) and not Gain(1.0, 0.95).pays(0.1) and not Gain(1.0, 1.5).pays(0.1)
    assert Gain(1.0, 1.2, spread_ms=0.5).pays(0.1) and not Gain(1.0, 1.6, spread_ms=0.5).pays(0.1)


def test_harm_is_measured_on_clipped_logits() -> None:
    reference = np.full((1, 1, 2, 2), 20.0, np.float32)
    assert harm(reference, reference * 2, TASK).noise == 0.0
    assert harm(reference, -reference, TASK).disagreement == 1.0
    assert harm(reference, np.full_like(reference, 3.0), TASK).noise == pytest.approx(0.25)
