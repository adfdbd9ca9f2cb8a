"""A sample of a set: every kind of image keeps its share, and what is copied is what its manifest names."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.cut import COLUMNS, cut, read_rows, stratified


def rows(**counts: int) -> list[dict[str, str]]:
    return [{"id": f"{kind}{at:02}", "modality": kind} for kind, count in counts.items() for at in range(count)]


@pytest.mark.parametrize(
    ("count", "shares"), [(10, {"a": 6, "b": 3, "c": 1}), (5, {"a": 3, "b": 1, "c": 1}), (3, {"a": 1, "b": 1, "c": 1})]
)
def test_shares_are_kept_and_no_kind_is_lost(count: int, shares: dict[str, int]) -> None:
    chosen = stratified(rows(a=60, b=30, c=10), count, "modality")
    assert {kind: sum(row["modality"] == kind for row in chosen) for kind in shares} == shares
    assert len({row["id"] for row in chosen}) == len(chosen) == count


def test_the_sample_is_a_set(tmp_path: Path) -> None:
    source = tmp_path / "source"
    lines = [",".join((*COLUMNS, "more"))]
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        for at in range(count):
            name = f"{split}{at}"
            for kind in ("images", "masks"):
                (source / kind).mkdir(parents=True, exist_ok=True)
                (source / kind / f"{name}.png").write_text(f"{kind} {name}")
            lines.append(f"{name},{split},{'ab'[at % 2]},images/{name}.png,masks/{name}.png,1,0.5,x,y,z")
    (source / "manifest.csv").write_text("\n".join(lines) + "\n")
    assert cut(source, tmp_path / "out", 2) == 2 + 2 + 2
    kept = read_rows(tmp_path / "out")
    assert [row["id"] for row in kept] == ["train0", "train1", "val0", "val1", "test0", "test1"]
    assert set(kept[0]) == set(COLUMNS)
    for row in kept:
        assert (tmp_path / "out" / row["image"]).read_text() == f"images {row['id']}"
        assert (tmp_path / "out" / row["mask"]).read_text() == f"masks {row['id']}"
    assert len(list((tmp_path / "out").rglob("*.png"))) == 12
