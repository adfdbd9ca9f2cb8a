"""Images in memory score as their files do, and what is no image is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.images.arrays import array_set
from edge.images.image_set import load_image_set
from tests.fixtures.discs import TASK, write_discs

IMAGE, MASK = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)


def test_arrays_hold_what_the_files_hold(tmp_path: Path) -> None:
    files = load_image_set(write_discs(tmp_path / "discs", {"train": 3, "val": 1, "test": 2}))
    arrays = array_set((s.pixels(), s.labels(TASK), s.split, s.name) for s in files)
    assert [s.name for s in arrays.split("test")] == [s.name for s in files.split("test")]
    for ours, theirs in zip(arrays, files, strict=True):
        plane, labels = ours.pair(TASK)
        np.testing.assert_array_equal(plane.values, theirs.pixels())
        np.testing.assert_array_equal(labels, theirs.labels(TASK))
    assert arrays.digests() == files.digests() and not arrays.drawn


def test_the_hash_follows_the_values() -> None:
    first, same = array_set([(IMAGE, MASK)]), array_set([(IMAGE.copy(), MASK.copy())])
    changed = MASK.copy()
    changed[2, 3] = 1
    assert first.sha256() == same.sha256() != array_set([(IMAGE, changed)]).sha256()
    assert array_set([(IMAGE, None)]).sha256() != first.sha256()


def test_without_splits_they_are_drawn_by_the_seed_of_folders() -> None:
    drawn = array_set([(IMAGE, MASK > 0)] * 20)
    assert drawn.drawn and [len(drawn.split(name)) for name in ("train", "val", "test")] == [14, 3, 3]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "data: is empty"),
        ([IMAGE], "data: item 0 is not a tuple of two to four"),
        ([(IMAGE, MASK), (IMAGE.astype(np.float64), MASK)], r"data: the image of item 1 is \[4, 6, 3\] float64"),
        ([(IMAGE, MASK[:2])], r"data: the mask of item 0 is \[2, 6\] uint8; give \[4, 6\] integers"),
        ([(IMAGE, MASK, "holdout")], "data: item 0 names split 'holdout'"),
        ([(IMAGE, MASK, "test"), (IMAGE, MASK)], "some items name a split and some do not"),
        ([(IMAGE, MASK, None, "a"), (IMAGE, MASK, None, "a")], "two items have the same name"),
    ],
)
def test_what_is_no_image_is_refused_by_name(items: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        array_set(items)
