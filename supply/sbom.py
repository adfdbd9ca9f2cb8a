"""Writes a bill of materials (CycloneDX 1.6, JSON) of the wheel, or of a bundle: components, hashes, licences.

``python -m supply.sbom --out out/sbom.json`` is for the wheel, with the locked releases of everything it needs;
``--bundle kit.tar.gz`` for a bundle, with its files. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from supply.advisories import ROOT, pinned

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VENDORED = {
    "type": "library",
    "name": "stb",
    "version": "2.30",
    "description": "stb_image and stb_image_write in export/runtime/third_party",
    "licenses": [{"expression": "MIT OR Unlicense"}],
}


def document(name: str, version: str, components: list[dict[str, Any]]) -> dict[str, Any]:
    """A CycloneDX document."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": name, "version": version, "bom-ref": name}},
        "components": components,
    }


def wheel() -> dict[str, Any]:
    """Of the wheel: what it needs to run, as locked, and what is vendored."""
    import edge

    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    versions, needed = pinned(lock), _needed("segedge")
    entries = {entry.partition("==")[0].lower().replace("_", "-"): entry for entry in re.split(r"\n(?=\S)", lock)}
    components = [_package(name, versions[name], entries[name]) for name in sorted(needed & set(versions))]
    components += [_unlocked(name) for name in sorted(needed - set(versions))]
    return document("segedge", edge.__version__, [*components, _VENDORED])


def bundle(archive: Path) -> dict[str, Any]:
    """Of a bundle: every file in it."""
    from edge.bundle.archive import peek

    manifest = peek(archive)
    components = [
        {
            "type": "machine-learning-model" if name.endswith(".onnx") else "file",
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        for name, (_, digest) in sorted(manifest.files.items())
    ]
    vendored = [_VENDORED] if any("/third_party/stb/" in name for name in manifest.files) else []
    return document(manifest.title, str(manifest.versions.get("segedge", "unknown")), [*components, *vendored])


def _package(name: str, version: str, entry: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    component: dict[str, Any] = {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
    component["externalReferences"] = [
        {"type": "distribution", "url": purl, "hashes": [{"alg": "SHA-256", "content": digest}]}
        for digest in _HASH.findall(entry)
    ]
    licence = _licence(name)
    if licence:
        component["licenses"] = [{"license": {"name": licence}}]
    return component


def _unlocked(name: str) -> dict[str, Any]:
    """What other Pythons or systems than the lock file's need too."""
    purl = f"pkg:pypi/{name}"
    where = "not locked: needed by other Pythons or systems than the lock file is for"
    return {"type": "library", "name": name, "purl": purl, "bom-ref": purl, "scope": "optional", "description": where}


def _licence(name: str) -> str:
    try:
        fields = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    named = fields.get("License-Expression") or fields.get("License") or ""
    classified = [c.rpartition(" :: ")[2] for c in fields.get_all("Classifier") or () if c.startswith("License")]
    return named if named and "\n" not in named and len(named) < 80 else ", ".join(classified)


def _needed(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """A package's dependencies and theirs, without extras."""
    found: set[str] = set()
    try:
        requires = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return found
    for line in requires:
        match = re.match(r"[A-Za-z0-9_.-]+", line)
        key = match[0].lower().replace("_", "-") if match else ""
        if key and "extra ==" not in line and key not in seen | found:
            found |= {key} | _needed(key, seen | found | {key})
    return found


def main() -> int:
    """Write one document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    table = bundle(given.bundle) if given.bundle else wheel()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(f"{given.out}: {len(table['components'])} components")
    return 0


if __name__ == "__main__":
    sys.exit(main())
