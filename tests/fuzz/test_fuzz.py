"""A short campaign over every door: nothing but sentences, no hangs, no processes. ``make fuzz`` runs a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.campaign import parts, run, together
from tests.fuzz.surface import Surface, place_input
from tests.fuzz.surfaces import surfaces

INPUTS, SEED = 1_500, 20261128
CORPUS = Path(__file__).parent / "corpus"


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> list[Surface]:
    return surfaces(tmp_path_factory.mktemp("doors"))


@pytest.mark.slow
def test_every_sound_example_is_taken(doors: list[Surface], tmp_path: Path) -> None:
    refused = []
    for surface in doors:
        for name, data in surface.seeds.items():
            try:
                surface.read(place_input(surface, data, name, tmp_path / "input"))
            except Exception as error:
                refused.append(f"{surface.name}, {name}: {error!r}")
    assert refused == []


@pytest.mark.slow
def test_no_damaged_input_gets_through_without_a_sentence(doors: list[Surface], tmp_path: Path) -> None:
    result = together(run(part, SEED, tmp_path) for part in parts(doors, INPUTS))
    assert result.findings == []
    assert result.processes == []
    assert sum(result.outcomes.values()) > 0.95 * INPUTS
    assert result.outcomes["taken"] > 0.02 * INPUTS, "mutations that never leave a sound file prove little"
    assert result.outcomes["exit 2"] > 0.5 * INPUTS
    assert result.grown_bytes < 1 << 30


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_what_was_found_once_is_refused(path: Path, doors: list[Surface], tmp_path: Path) -> None:
    """Files named SURFACE--NAME: found by a campaign or an attack, mended since."""
    from edge.errors import EdgeError

    door, _, name = path.name.partition("--")
    surface = next(s for s in doors if s.name.replace(" ", "-") == door)
    with pytest.raises(EdgeError):
        surface.read(place_input(surface, path.read_bytes(), name, tmp_path / "input"))
