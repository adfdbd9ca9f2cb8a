"""Cut a small, stratified sample out of a prepared image set.

``python calibration/cut.py SOURCE DESTINATION --train 64`` copies all val and test images of ``SOURCE`` and ``--train``
train images, chosen so that every modality keeps its share (at least one image each), evenly spaced over the sorted
names. Nothing is random: the same source gives the same sample.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, str]
COLUMNS = ("id", "split", "modality", "image", "mask", "n_nuclei", "fg_fraction", "sha256_image", "sha256_mask")


def stratified(rows: list[Row], count: int, column: str) -> list[Row]:
    """``count`` rows with the shares of ``column`` kept (largest remainders, at least one row a value)."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: r["id"]):
        groups[row[column]].append(row)
    exact = {name: count * len(group) / len(rows) for name, group in groups.items()}
    shares = {name: max(1, int(share)) for name, share in exact.items()}
    by_remainder = sorted(groups, key=lambda name: exact[name] - int(exact[name]), reverse=True)
    for name in by_remainder[: count - sum(shares.values())]:
        shares[name] += 1
    return [
        group[round(i * (len(group) - 1) / max(1, shares[name] - 1))]
        for name, group in groups.items()
        for i in range(shares[name])
    ]


def cut(source: Path, destination: Path, train: int) -> int:
    """Copy the sample and write its manifest; returns the number of images."""
    rows = read_rows(source)
    kept = stratified([r for r in rows if r["split"] == "train"], train, "modality")
    kept += [r for r in rows if r["split"] in ("val", "test")]
    kept.sort(key=lambda r: (("train", "val", "test").index(r["split"]), r["id"]))
    copy_rows(source, destination, kept, COLUMNS)
    return len(kept)


def read_rows(folder: Path) -> list[Row]:
    """The rows of a set's manifest."""
    with (folder / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def copy_rows(source: Path, destination: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Make a set of some rows of another: their images and masks, and a manifest with these columns."""
    for row in rows:
        for key in ("image", "mask"):
            target = destination / row[key]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / row[key], target)
    with (destination / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--train", type=int, default=64)
    arguments = parser.parse_args()
    print(f"{cut(arguments.source, arguments.destination, arguments.train)} images in {arguments.destination}")


if __name__ == "__main__":
    main()
