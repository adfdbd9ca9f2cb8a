"""What is installed: locked by hash, free of known holes, and listed."""

from __future__ import annotations

import re
from pathlib import Path

from edge.safety.limits import Limits
from supply import advisories, sbom
from tests.fixtures import forge

ROOT = Path(__file__).resolve().parents[2]


def test_no_pin_and_no_lower_bound_has_a_known_hole() -> None:
    assert advisories.main() == 0
    assert list(advisories.holes({"pillow": "10.2.0", "numpy": "1.26"})) != []


def test_the_lock_file_hashes_everything_and_agrees_with_the_constraints() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if "==" in entry]
    assert len(entries) > 60 and all("--hash=sha256:" in entry for entry in entries)
    locked, pinned = advisories.pinned(text), advisories.pinned((ROOT / "constraints.txt").read_text())
    assert {name: version for name, version in pinned.items() if name in locked} == {
        name: locked[name] for name in pinned if name in locked
    }
    assert set(pinned) - set(locked) == {"torch"}, "run make lock (torch's builds alone lie on indexes of their own)"
    assert "http" not in text


def test_the_wheels_bill_of_materials_lists_what_it_needs() -> None:
    table = sbom.wheel()
    names = {component["name"] for component in table["components"]}
    assert {"numpy", "onnx", "onnxruntime", "openvino", "pillow", "protobuf", "stb"} <= names
    assert "tomli" in names, "which Python 3.10 needs, though the lock file is for newer ones"
    assert not {"pytest", "torch"} & names
    assert all(c["licenses"] for c in table["components"] if c["name"] in ("numpy", "pillow", "stb"))
    assert table == sbom.wheel() and table["specVersion"] == "1.6"


def test_a_bundles_bill_of_materials_lists_its_files(tmp_path: Path) -> None:
    source = {"runtime/third_party/stb/stb_image.h": b"// PNG and JPEG"}
    for files, vendored in ((forge.FILES, set()), ({**forge.FILES, **source}, {"stb"})):
        text = forge.manifest(files)
        (tmp_path / "kit.tar.gz").write_bytes(forge.archive(forge.head(text), forge.body(files)))
        components = {component["name"]: component for component in sbom.bundle(tmp_path / "kit.tar.gz")["components"]}
        assert set(components) == set(files) | vendored
        assert components["candidates/int8/graph.onnx"]["type"] == "machine-learning-model"


def test_security_md_states_the_limits_that_are_enforced() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    for name, value in vars(Limits()).items():
        assert re.search(rf"^\| `{name}` \| {value:,} \|".replace(",", " ?"), text, re.MULTILINE), name
