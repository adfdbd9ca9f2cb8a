"""Every command of the documentation is run, on a small network and small images; what another test runs is named.

A page is read from top to bottom in one folder, as its reader would type it. What it takes for given (an earlier run, a
key, images of one's own) is laid out first.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.fixtures.command import edge
from tests.fixtures.discs import TASK, disc_network, write_discs
from tests.fixtures.documents import commands, indented_blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page.parent.name != "reference" and page.name != "gallery.md"]

SMALL = {
    "models/unet": "net.onnx",
    "models/litenext": "net.onnx",
    "my.onnx": "net.onnx",
    "network.onnx": "net.onnx",
    "calibration/dsb2018": "my-images",
    "data": "my-images",
}
"""A name of the documentation to what stands for it here."""
ELSEWHERE = {
    "--on": "tests/boards/test_deploy_over_ssh.py",
    "boards": "tests/boards/test_registry.py",
    "--scheduler": "tests/scale/test_sweep.py",
    "mlflow:http://localhost:5000": "tests/handover/test_mlflow.py",
    "nets:build": "tests/loading/test_loading.py",
    "mylab.nets:build": "tests/loading/test_loading.py",
    "case.nii.gz": "tests/pipeline/test_volumes.py",
    "runs/nano-verified": "tests/pipeline/test_verify.py",
    "runs/nano-board": "tests/bundle/test_runtime_in_bundle.py",
}
"""A word of a command that needs a board, a server or other files, to the test that runs such a command."""
QUICK = ("--budget", "1", "--seconds", "0.02")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages take for given, made once: a network, its task, images, a gate, a sweep, runs and a bundle."""
    root = tmp_path_factory.mktemp("docs")
    write_discs(root / "my-images", {"train": 6, "val": 4, "test": 30})
    manifest = root / "my-images" / "manifest.csv"
    header, *rows = manifest.read_text().splitlines()
    named = [f"{row},p{number},s{number % 2}" for number, row in enumerate(rows)]
    manifest.write_text("\n".join([f"{header},patient,scanner", *named]) + "\n")
    disc_network().save(root / "net.onnx")
    (root / "task.toml").write_text(f"[task]\nsize = {list(TASK.size)}\nclasses = {json.dumps(TASK.classes)}\n")
    (gate,) = [b for b in indented_blocks((DOCS / "how-to/gate.md").read_text()) if "[dice]" in b]
    (root / "our-gate.toml").write_text(gate)
    sweep = 'data = "my-images"\nprecisions = ["fp32"]\n[options]\nseconds = 0.02\nbudget = 1\n'
    (root / "sweep.toml").write_text(f'{sweep}[[networks]]\nmodel = "net.onnx"\n')
    deploy = ["deploy", "net.onnx", "--data", "my-images", "--precisions", "fp32,int8", "--out", "runs/unet"]
    assert run(root, deploy) == 0
    for name in ("runs/net", "runs/released", "runs/candidate"):
        shutil.copytree(root / "runs/unet", root / name)
    shutil.copytree(root / "runs/unet/engines/int8", root / "gate/int8")
    assert run(root, ["bundle", "runs/unet", "--target", "cpu", "--out", "litenext.tar.gz"]) == 0
    return root


def run(folder: Path, words: list[str]) -> int:
    """The exit code; what cannot be less than quick is made so."""
    small = [SMALL.get(word, word) for word in words]
    if small[0] == "deploy":
        small += QUICK
    done = edge(*small, folder=folder)
    assert done.returncode in (0, 1), f"edge {' '.join(small)}\n{done.stderr[-1500:]}"
    return done.returncode


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_s_commands_run(page: Path, given: Path, tmp_path: Path) -> None:
    place = tmp_path / "here"
    shutil.copytree(given, place)
    for _, *words in commands(page.read_text(encoding="utf-8")):
        if not ELSEWHERE.keys() & set(words):
            run(place, words)


def test_what_is_run_elsewhere_is() -> None:
    assert [test for test in ELSEWHERE.values() if not (ROOT / test).is_file()] == []
    used = {word for page in PAGES for words in commands(page.read_text(encoding="utf-8")) for word in words}
    assert ELSEWHERE.keys() - used == set()
