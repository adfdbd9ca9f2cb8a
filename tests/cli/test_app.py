"""The command line: every example in its help runs, stdout holds only results, exit codes are the README's."""

from __future__ import annotations

import builtins
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from PIL import Image

from edge import __version__
from edge.backends.engine import read_engine
from edge.cli import app as cli
from tests.fixtures.discs import disc_network, write_discs

pytestmark = pytest.mark.usefixtures("without_plots")

SPLITS = {"train": 6, "val": 4, "test": 22}
PATIENT = """
import edge.cli.supervise as supervising
from edge.cli.app import main
supervising.DEAF_SECONDS = supervising.CLEANING_SECONDS = 300.0
main()
"""
"""``edge`` that kills no run which a busy machine does not let hear a signal, or clean up after it, within seconds."""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cli")
    write_discs(root / "discs", SPLITS)
    disc_network().save(root / "discs.onnx")
    Image.open(root / "discs" / "images" / "test00.png").save(root / "image.png")
    (root / "sweep.toml").write_text(
        'data = "discs"\nprecisions = ["fp32"]\n[options]\nbudget = 0\nseconds = 0.01\n'
        '[[networks]]\nmodel = "discs.onnx"\n'
    )
    return root


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path) -> Run:
    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.chdir(place)
        monkeypatch.setattr(sys, "argv", ["edge", *shlex.split(line)])
        with pytest.raises(SystemExit) as ended:
            cli.run_command()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def examples() -> list[str]:
    """The last line of every command's help, in an order in which each finds what it needs."""
    order = [
        "deploy",
        "build",
        "check",
        "segment",
        "profile",
        "report",
        "targets",
        "fuse",
        "calibrate",
        "quantize",
        "bundle",
        "sign",
        "verify",
    ]
    found = {}
    for command in cli.app.registered_commands:
        name = command.name or command.callback.__name__
        match = re.search(r"Example: edge (.*)", command.callback.__doc__ or "")
        assert match, f"edge {name}: its help has no example"
        found[name] = match.group(1)
    rest = [name for name in found if name not in order]
    return [found[name] for name in [*order, *rest]]


@pytest.mark.slow
def test_every_example_runs(edge: Run) -> None:
    for example in examples():
        line = example.replace("models/unet", "discs.onnx").replace("calibration/dsb2018", "discs")
        if line.startswith("deploy"):
            line += " --seconds 0.05 --budget 2 --precisions fp32,int8"
        if line.startswith("verify"):
            line = line.replace("--seconds 1", "--seconds 0.05")
        code, out, err = edge(line)
        assert code == 0, f"edge {line}: {err}"
        assert out.strip(), f"edge {line} printed nothing"


@pytest.mark.slow
def test_json_is_one_document_and_nothing_else(edge: Run, place: Path) -> None:
    edge("deploy discs.onnx --data discs --out json-run --precisions fp32 --seconds 0.05 --quiet")
    silent = onnx.load(place / "discs.onnx")
    del silent.metadata_props[:]
    onnx.save(silent, place / "silent.onnx")
    for line, key in [
        ("build discs.onnx --data discs --target cpu --precision int8 --out json-int8 --json", "convs"),
        ("check discs.onnx --data discs --json", "dice"),
        ("check json-run/engines/fp32 --data discs --reference discs.onnx --json", None),
        ("check json-run/engines/fp32 --data discs --reference silent.onnx --json", None),
        ("profile json-run/engines/fp32 --seconds 0.05 --json", "engines"),
        ("segment json-run/engines/fp32 image.png --out json-masks --json", None),
        ("inspect json-run --json", "kind"),
        ("targets --json", None),
    ]:
        code, out, err = edge(line)
        assert code == 0, f"edge {line}: {err}"
        document = json.loads(out)
        assert key is None or key in document, line
    code, out, _ = edge("build discs.onnx --data discs --target cpu --precision int8 --out json-int8 --json")
    assert json.loads(out)["convs"] == {"int8": 3, "fp16": 0, "bf16": 0, "fp32": 0, "unknown": 0}


@pytest.fixture
def engine(edge: Run, place: Path) -> str:
    """The folder of an FP32 engine, built by the first who asks."""
    if not (place / "engine").is_dir():
        edge("build discs.onnx --data discs --target cpu --precision fp32 --out engine")
    return "engine"


@pytest.mark.slow
def test_masks_have_the_image_s_size_and_two_levels(edge: Run, place: Path, engine: str) -> None:
    large = place / "large.png"
    Image.open(place / "image.png").resize((75, 51)).save(large)
    code, _, err = edge(f"segment {engine} large.png --out masks")
    assert code == 0, err
    mask = Image.open(place / "masks" / "large.png")
    assert mask.size == (75, 51)
    assert {value for _, value in mask.getcolors()} == {0, 255}


def test_a_mask_never_replaces_an_input(edge: Run, place: Path, engine: str) -> None:
    before = (place / "image.png").read_bytes()
    code, _, err = edge(f"segment {engine} image.png --out .")
    assert code == 2 and "would replace an input" in err
    assert (place / "image.png").read_bytes() == before


def test_an_engine_without_its_graph_is_not_passed(edge: Run, place: Path, engine: str) -> None:
    shutil.copytree(place / engine, place / "bare-engine")
    (place / "bare-engine" / "graph.onnx").unlink()
    code, _, err = edge("check bare-engine --data discs --reference discs.onnx")
    assert code == 2 and "parity cannot be shown" in err


def test_an_engine_without_a_reference_is_told_what_to_add(edge: Run, engine: str) -> None:
    code, out, err = edge(f"check {engine} --data discs")
    assert (code, out) == (2, "")
    assert err == f"error: {engine}: is an engine; add --reference MODEL, the float model to compare it with\n"


def test_nothing_passes_is_exit_1(edge: Run, place: Path) -> None:
    (place / "hard.toml").write_text("[agreement]\nmin = 1.0\n[image]\nworst_drop = 0.0\n[iou]\nretained = 1.0\n")
    edge("build discs.onnx --data discs --target cpu --precision int8 --out hard-engine")
    code, out, _ = edge("check hard-engine --data discs --reference discs.onnx --gate hard.toml")
    assert code == 1
    assert "fails" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("deploy absent --data discs", "absent: no such model"),
        ("deploy discs.onnx --data absent", "absent: no such folder"),
        ("deploy discs.onnx --data discs --target toaster", "--target toaster: unknown"),
        ("deploy discs.onnx --data discs --gate 98", "--gate 98: unknown"),
        ("deploy discs.onnx --data discs --precisions int4", "--precisions int4: unknown"),
        ("deploy discs.onnx --data discs --task absent.toml", "absent.toml: no such file"),
        ("check absent --data discs --reference discs.onnx", "absent: no such engine or run"),
        ("check discs.onnx --data discs --split holdout", "the holdout split is empty"),
        ("deploy discs.onnx --data discs --strata scanner", "no column 'scanner'"),
        ("deploy discs.onnx --data discs --jetpack 6.2", "--jetpack 6.2: cpu is not a Jetson"),
        ("deploy discs.onnx --data discs --calibration-images 0", "must be at least 1"),
        ("inspect absent", "absent: no such file"),
        ("report absent", "absent: no such run"),
        ("bundle absent --target cpu --out b.tar.gz", "absent: no such run"),
        ("segment absent discs/images/test00.png --out masks", "absent: no such engine or run"),
        ("check discs.onnx --data discs.onnx", "discs.onnx: is a file; give a folder"),
        ("check discs.onnx --data discs --strata scanner", "--strata scanner: is for engines"),
        ("check discs.onnx --data discs --junit j.xml", "--junit j.xml: is for engines"),
        ("report absent --out all.json", "all.json: is where the page's .json goes"),
        ("verify discs", "error: discs: is not an unpacked bundle"),
        ("quantize discs.onnx --ranges absent.json --out x.onnx", "absent.json: no such file"),
    ],
)
def test_the_user_s_mistakes_are_exit_2_and_one_sentence(edge: Run, line: str, message: str) -> None:
    code, out, err = edge(line)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err


def test_splits_that_were_drawn_are_printed(edge: Run, place: Path) -> None:
    shutil.copytree(place / "discs", place / "plain", ignore=shutil.ignore_patterns("manifest.csv"))
    code, out, err = edge("check discs.onnx --data plain --split val --json -v")
    assert code == 0 and "dice" in json.loads(out)
    assert "plain: has no manifest.csv, so its images are split by a fixed seed: 24 train, 4 val, 4 test" in err
    listed = {line.partition(": ")[0]: line.partition(": ")[2].split(", ") for line in err.splitlines()[1:]}
    assert [len(listed[name]) for name in ("train", "val", "test")] == [24, 4, 4]
    assert "split by" not in edge("check discs.onnx --data discs")[2]


def test_the_version_is_printed(edge: Run) -> None:
    assert edge("--version") == (0, f"segedge {__version__}\n", "")


def test_unknown_options_are_exit_2(edge: Run) -> None:
    assert edge("deploy discs.onnx --data discs --shiny")[0] == 2


@pytest.mark.parametrize("option", ["--threads 0", "--seconds -1", "--seconds 0", "--budget -5"])
def test_numbers_that_mean_nothing_are_exit_2(edge: Run, option: str) -> None:
    code, out, err = edge(f"deploy absent --data discs {option}")
    assert (code, out) == (2, "")
    assert option.split()[0] in err and "greater than or equal" in err


@pytest.mark.slow
def test_a_run_that_is_terminated_leaves_nothing_but_an_engine_that_passed(place: Path) -> None:
    given = ["deploy", place / "discs.onnx", "--data", place / "discs", "--out", place / "killed" / "run"]
    line = [*given, "--precisions", "fp32", "--seconds", "60", "--quiet"]
    run = subprocess.Popen([sys.executable, "-c", PATIENT, *map(str, line)], stderr=subprocess.PIPE)
    while not list(place.glob("killed/.run.*/engines/fp32/engine.json")):  # by then all compilers are imported
        assert run.poll() is None
        time.sleep(0.05)
    run.terminate()
    _, err = run.communicate(timeout=300)
    assert b"nothing was replaced" in err and run.returncode == 130
    left = [path.relative_to(place / "killed") for path in place.glob("killed/*/*")]
    assert left in ([], [Path("run-interrupted/fp32")])  # whether its verdict came before the signal is the machine's
    assert all(read_engine(place / "killed" / path).precision == "fp32" for path in left)
    assert len(list((place / "killed").iterdir())) == len(left)


def test_a_folder_that_cannot_be_written_is_exit_3(edge: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    code, _, err = edge("fuse discs.onnx --out nowhere/fused.onnx --target cpu")
    assert code == 3
    assert "No space left on device" in err


@pytest.mark.parametrize("name", ["discs.onnx", "task.toml", "discs/manifest.csv", "discs/images/val00.png"])
def test_a_file_that_may_not_be_read_is_exit_3(
    edge: Run, place: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (place / "task.toml").write_text("[task]\nsize = [32, 32]\n")
    opened = builtins.open

    def locked(file: Any, *rest: Any, **options: Any) -> Any:
        if str(file).endswith(name):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *rest, **options)

    monkeypatch.setattr(builtins, "open", locked)
    monkeypatch.setattr(io, "open", locked)
    code, out, err = edge("check discs.onnx --data discs --split val --task task.toml")
    assert (code, out) == (3, "")
    assert err.startswith("error: ") and f"{name}: Permission denied" in err
    assert len(err.strip().splitlines()) == 1


def test_our_own_bug_is_exit_70_with_a_traceback(edge: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug() -> None:
        raise RuntimeError("impossible")

    monkeypatch.setattr("edge.targets.target.targets", bug)
    code, _, err = edge("targets")
    assert code == 70
    assert "impossible" in err and "report it" in err


def test_help_starts_fast_and_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['edge', '--help']\n"
        "from edge.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'openvino', 'onnxruntime', 'onnx', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "heavy: []" in result.stdout
    shown = [line for line in result.stdout.splitlines() if not line.startswith("heavy")]
    assert len(shown) <= 30 and max(map(len, shown)) <= 80, "the help must fit a screen"
    assert "..." not in result.stdout.partition("Commands:")[2], "no command's summary is cut off"


def test_every_command_takes_json_quiet_and_verbose() -> None:
    for command in cli.app.registered_commands:
        names = set(command.callback.__annotations__)
        assert {"as_json", "quiet", "verbose"} <= names, command.callback.__name__
