"""What a bundle says of its images: who belongs together, without saying who."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.bundle.contents import image_files
from edge.images.image_set import load_image_set
from edge.task.task import SegmentationTask
from tests.fixtures.pictures import COLOUR, GREY, save

TASK = SegmentationTask(size=(8, 8))


def _groups(root: Path, strata: str | None, group: str | None) -> object:
    rows = ["image,mask,split,hospital,patient,slide"]
    for index, (hospital, patient) in enumerate((("x", "A"), ("x", ""), ("y", ""), ("x", "A"))):
        save(root / f"i{index}.png", COLOUR)
        save(root / f"m{index}.png", GREY * 0)
        rows.append(f"i{index}.png,m{index}.png,test,{hospital},{patient},s{index}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    images = load_image_set(root)
    names = [sample.name for sample in images]
    _, data, _ = image_files(images, names, np.zeros((4, 1, 8, 8), np.float32), TASK, strata, group)
    return data["groups"]


def test_groups_travel_as_numbers_and_an_image_of_none_stands_for_itself(tmp_path: Path) -> None:
    assert _groups(tmp_path, None, None) == {"name": "patient", "values": ["0", "", "", "0"]}


def test_the_column_is_the_one_that_the_run_was_resampled_by(tmp_path: Path) -> None:
    assert _groups(tmp_path, None, "hospital") == {"name": "hospital", "values": ["0", "0", "1", "0"]}
    assert _groups(tmp_path, "slide", None) == {"name": "slide", "values": ["0", "1", "2", "3"]}
