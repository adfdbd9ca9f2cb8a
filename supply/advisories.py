"""Checks pinned packages, and the oldest releases that the package admits, against the committed list of known holes.

``python -m supply.advisories`` exits with 1 where one is admitted. It asks nobody: the list is ``advisories.toml``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parent.parent
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([A-Za-z0-9_.!+]+)", re.MULTILINE)
_BOUND = re.compile(r"^([A-Za-z0-9_.-]+)\s*(?:>=|==)\s*([0-9][A-Za-z0-9_.]*)")


@dataclass(frozen=True)
class Advisory:
    """One hole.

    Attributes:
        package: its name on the package index.
        fixed: the first release without it.
        id, what: for people.
    """

    package: str
    fixed: str
    id: str
    what: str


def advisories() -> tuple[Advisory, ...]:
    """The committed list."""
    table = tomllib.loads((ROOT / "supply" / "advisories.toml").read_text(encoding="utf-8"))
    return tuple(Advisory(**row) for row in table["advisory"])


def pinned(text: str) -> dict[str, str]:
    """Package to version, of a lock file or of constraints; of two versions for two Pythons the older."""
    found: dict[str, str] = {}
    for name, version in _PIN.findall(text):
        key = name.lower().replace("_", "-")
        if key not in found or release(version) < release(found[key]):
            found[key] = version
    return found


def admitted() -> dict[str, str]:
    """Package to the oldest release that ``pyproject.toml`` admits."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = (project["dependencies"], *project["optional-dependencies"].values())
    bounds = (_BOUND.match(line.replace("[", " [")) for lines in lists for line in lines)
    return {bound[1].lower().replace("_", "-"): bound[2] for bound in bounds if bound}


def holes(versions: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each release below a fix."""
    for advisory in advisories():
        version = versions.get(advisory.package)
        if version is not None and release(version) < release(advisory.fixed):
            yield f"{advisory.package} {version}: {advisory.id}, {advisory.what}; take {advisory.fixed} or later"


def release(version: str) -> tuple[int, ...]:
    """A version's numbers, to be compared; zeros at the end and what follows (``+cpu``, ``rc1``) do not count."""
    numbers = [int(part) for part in re.findall(r"\d+", version.partition("+")[0].partition("rc")[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def main() -> int:
    """Check the lock file, the constraints and the lower bounds."""
    found = {
        "requirements.lock": pinned((ROOT / "requirements.lock").read_text(encoding="utf-8")),
        "constraints.txt": pinned((ROOT / "constraints.txt").read_text(encoding="utf-8")),
        "pyproject.toml": admitted(),
    }
    sentences = [f"{file}: {sentence}" for file, versions in found.items() for sentence in holes(versions)]
    print("\n".join(sentences) or f"{sum(map(len, found.values()))} versions, no known hole among them")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
