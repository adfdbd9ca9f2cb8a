"""Averaging runs: the mean of every float tensor, counters from the first."""

from __future__ import annotations

from pathlib import Path

import pytest
import soup
import torch

from edge.errors import InputError


def test_floats_are_averaged_and_counters_kept() -> None:
    one = {"w": torch.tensor([[1.0, 2.0]]), "n": torch.tensor(3)}
    two = {"w": torch.tensor([[3.0, 6.0]]), "n": torch.tensor(9)}
    mean = soup.mean_state([one, two])
    assert mean["w"].tolist() == [[2.0, 4.0]] and mean["w"].dtype == torch.float32
    assert mean["n"].item() == 3


def test_runs_of_different_networks_are_refused() -> None:
    with pytest.raises(InputError, match="different networks"):
        soup.mean_state([{"w": torch.zeros(2, 2)}, {"w": torch.zeros(3, 2)}])


def test_runs_of_one_name_are_refused_before_any_is_read() -> None:
    with pytest.raises(InputError, match="b/run: has the name of a/run; rename one"):
        soup.average("unet", [Path("a/run"), Path("b/run"), Path("c/other")], Path("data"), Path("out"))
