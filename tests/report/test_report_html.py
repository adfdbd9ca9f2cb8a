"""The page: self-contained, deterministic, complete; and clean in a real browser."""

from __future__ import annotations

import html
import html.parser
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.accuracy.compare import CaseScore, CaseScores
from edge.cli.tables import accuracy_text
from edge.latency.power import Energy
from edge.report import plots
from edge.report.details import Picture
from edge.report.html import render, render_merged
from edge.report.markdown import markdown
from edge.report.pictures import MOST_PICTURES, plates
from edge.report.results import Report
from edge.report.write import write_report
from tests.fixtures.report_example import example
from tests.fixtures.unplotted import unplotted

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
VOID = {"meta", "link", "input", "br", "wbr", "hr", "img"}


class Page(html.parser.HTMLParser):
    """Tags, ids, references and headings; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.fragments: set[str] = set()
        self.fetched: list[str] = []
        self.headings: list[int] = []
        self.tags: Counter[str] = Counter()
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        given = {key: value or "" for key, value in attrs}
        if "id" in given:
            self.ids[given["id"]] += 1
        for key in ("href", "src", "srcset", "data", "action", "xlink:href"):
            value = given.get(key, "")
            if value.startswith("#"):
                self.fragments.add(value[1:])
            elif value and tag != "a" and not value.startswith("data:"):
                self.fetched.append(value)
        for key in ("aria-labelledby", "aria-describedby"):
            self.fragments.update(given.get(key, "").split())
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"


@pytest.fixture
def bare() -> Iterator[None]:
    """Of a test that looks at no plot: drawing them takes most of a page's time."""
    with unplotted():
        yield


@pytest.fixture(scope="module")
def text() -> str:
    return render(example().report, example().pictures)


@pytest.fixture(scope="module")
def merged() -> str:
    unet = replace(example().report, model=replace(example().report.model, name="unet"))
    failed = replace(example().report, status="failed", chosen=None)
    reports = [example().report, unet, failed]
    return render_merged(reports, ["a/report.html", None, "c/report.html"], ("first", "unet", "second"))


def test_the_page_is_well_formed_and_every_reference_leads_somewhere(text: str, merged: str):
    for page in map(Page, (text, merged)):
        assert page.open == []
        assert {name: times for name, times in page.ids.items() if times > 1} == {}
        assert page.fragments - set(page.ids) == set()


def test_the_page_fetches_and_runs_nothing(text: str, merged: str):
    for source in (text, merged):
        page = Page(source)
        assert page.fetched == []
        assert page.tags["script"] == 0 and "@import" not in source and "javascript:" not in source
        assert re.findall(r"url\((?!#)[^)]*\)", source) == []


def test_headings_are_nested_and_tables_have_captions(text: str, merged: str):
    for page in map(Page, (text, merged)):
        assert page.headings[0] == 1 and page.headings.count(1) == 1
        assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
        assert page.tags["caption"] == page.tags["table"] > 0


def test_every_precision_has_a_row_with_its_reasons(text: str):
    plain = re.sub(r"<[^>]+>", "", text).replace("&#39;", "'")
    for row in example().report.engines:
        assert f'<span class="chip p-{row.precision}">{row.name}</span>' in text
        for reason in row.gate.reasons:
            assert reason in plain


def cells(text: str, caption: str) -> dict[str, dict[str, str]]:
    """The table whose caption begins so: row name to heading to text."""
    found = next(t for t in re.findall(r"<table.*?</table>", text, re.DOTALL) if f"<span>{caption}" in t)

    def plain(pattern: str, part: str) -> list[str]:
        return [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.findall(pattern, part, re.DOTALL)]

    head, body = found.split("</thead>")
    headings = plain(r"<th.*?</th>", head[head.index("<thead") + 6 :])
    rows = [plain(r"<t[hd].*?</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)]
    assert all(len(row) == len(headings) for row in rows if len(row) > 1), "every row has every column"
    return {row[0]: dict(zip(headings, row, strict=True)) for row in rows if len(row) > 1}


def test_micro_and_per_image_scores_are_named_apart(text: str):
    table = cells(text, "Accuracy in full")
    report = example().report
    assert table["float model"]["Dice pooled"] == f"{report.reference.micro_dice:.4f}"
    accuracy = report.engine("int8").accuracy
    assert accuracy is not None
    row = table["int8"]
    assert (row["Dice per image"], row["Dice pooled"]) == (f"{accuracy.dice.mean:.4f}", f"{accuracy.dice.micro:.4f}")
    assert (row["IoU per image"], row["IoU pooled"]) == (f"{accuracy.iou.mean:.4f}", f"{accuracy.iou.micro:.4f}")
    assert accuracy.dice.mean != pytest.approx(accuracy.dice.micro, abs=1e-4)


@pytest.mark.usefixtures("bare")
def test_outline_distances_stand_with_the_cases_that_have_none():
    row = example().report.engine("int8")
    assert row.accuracy is not None and row.accuracy.hd95 is not None
    odd = replace(row.accuracy, hd95=replace(row.accuracy.hd95, one_empty=2, both_empty=1))
    report = replace(example().report, engines=(replace(row, accuracy=odd),), chosen=None, status="failed")
    shown = cells(render(report), "Accuracy in full")["int8"]
    assert shown["HD95 mean"] == f"{row.accuracy.hd95.mean:.2f}"
    assert shown["HD95 undefined"] == "2 one empty, 1 both empty"


@pytest.mark.parametrize("millimetres", [None, 1.25])
def test_cases_of_pictures_have_no_columns_of_three_dimensions(millimetres: float | None) -> None:
    name = example().report.chosen
    assert name is not None
    row = example().report.engine(name)
    assert row.accuracy is not None
    case = CaseScore("p1", 2, 0.9, 0.91, 0.8, 0.81, millimetres, millimetres, None, None)
    cases = CaseScores("patient", 0.9, 0.91, 0.8, 0.81, 0.99, (case,), millimetres, millimetres)
    found = replace(row, accuracy=replace(row.accuracy, cases=cases))
    engines = tuple(found if e.name == name else e for e in example().report.engines)
    page = cells(render(replace(example().report, engines=engines)), "By patient")["p1"]
    assert page["images"] == "2" and ("HD95, mm" in page) == (millimetres is not None)
    text = accuracy_text([(name, found.accuracy, found.gate)])
    block = text[text.index(f"{name}, by patient") :]
    assert "images" in block and ("HD95 mm, 3-D" in block) == (millimetres is not None) == ("1.25" in block)


def test_how_small_a_change_would_be_seen_is_printed(text: str):
    accuracy = example().report.engine("mixed").accuracy
    assert accuracy is not None
    assert cells(text, "Accuracy in full")["mixed"]["detectable"] == f"{accuracy.dice.detectable:.4f}"
    assert "Intervals are drawn over 24 images: a true change of mean Dice below" in text


def test_each_stratum_says_whether_it_is_judged(text: str):
    table = cells(text, "By modality")
    assert table["fluorescence"]["judged"] == "yes" and table["fluorescence"]["images"] == "16"
    assert table["histology"]["judged"] == "no" and table["histology"]["images"] == "8"


def test_the_way_from_file_to_mask_and_memory_are_shown(text: str):
    row = cells(text, "From image file to mask")["mixed"]
    assert (row["decode"], row["preprocess"], row["copy in"], row["postprocess"]) == ("0.410", "1.87", "–", "0.920")
    assert row["peak memory"] == "208.10 MB"
    assert "not trustworthy" in cells(text, "From image file to mask")["int8"]["file to mask, p50"]
    assert "<li>foreign load: other processes used 0.31 cores meanwhile; stop them</li>" in text


def test_pixels_to_mask_and_throughput_are_shown_apart_from_compute(text: str):
    mixed = example().report.engine("mixed")
    assert mixed.latency_ms is not None and mixed.pixels_to_mask_ms is not None
    row = cells(text, "From the uint8 image")["mixed"]
    assert row["p50"] == f"{mixed.pixels_to_mask_ms.p50:.2f}"
    assert row["compute alone, p50"] == f"{mixed.latency_ms.p50:.2f}"
    table = cells(text, "Throughput of mixed over batches and streams")
    assert (table["1"]["streams"], table["1"]["images/s"], table["1"]["request, ms"]) == ("2", "310", "6.44")
    assert table["4"]["images/s"] == "–" and "batch 1 built in" in table["4"]["Note"]
    assert "Throughput of fp32" not in text
    assert "| 1 | 2 | 310 | 6.44 |" in markdown(example().report)


def test_an_estimate_is_never_in_a_measured_column(text: str):
    report = example().report
    estimated = report.engine("fp32").estimated
    assert estimated is not None and estimated.error is not None
    row = cells(text, "What the device’s peaks alone")["fp32"]
    assert row["estimate, ms"] == f"{estimated.ms:.2f}"
    assert row["error of the estimate"] == f"{100 * estimated.error:+.0f} %".replace("-", "−")
    assert text.count(f">{estimated.ms:.2f}<") == 1, "in its own table alone"
    bare = tuple(replace(r, latency_ms=None, estimated=replace(estimated, error=None)) for r in report.engines)
    page = render(replace(report, engines=bare, chosen=None, status="unconfirmed"))
    assert list(cells(page, "What the device’s peaks alone")["fp32"]) == ["Engine", "estimate, ms"]


@pytest.mark.usefixtures("bare")
def test_a_device_s_report_without_the_added_keys_still_has_a_page():
    table = example().report.to_json()
    for row in table["engines"]:
        for key in ("image_to_mask_ms", "memory", "estimated", "lost", "pixels_to_mask_ms", "throughput"):
            row.pop(key)
        for key in ("hd95", "units", "resampled_by", "strata", "classes", "worst_drop"):
            if row["accuracy"]:
                row["accuracy"].pop(key)
        for score in ("dice", "iou") if row["accuracy"] else ():
            row["accuracy"][score] = {k: row["accuracy"][score][k] for k in ("mean", "retained", "difference_ci95")}
    page = render(Report.from_json(table))
    assert Page(page).open == []
    assert cells(page, "Accuracy in full")["int8"]["Dice pooled"] == "–"
    assert not re.search(r"\bnan\b", re.sub(r"<[^>]+>", "", page))


def test_the_command_is_the_command_however_it_breaks(text: str, merged: str):
    for page in (text, merged):
        shown = re.search(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)
        assert shown is not None
        assert html.unescape(re.sub(r"<[^>]+>", "", shown[1])) == example().report.command


def test_the_verdict_comes_first(text: str):
    assert text.index('class="verdict') < text.index("<nav") < text.index("<table")


def test_the_same_report_gives_the_same_page(text: str):
    assert render(example().report, example().pictures) == text


def test_worst_images_are_a_click_from_the_scatter(text: str):
    for index, picture in enumerate(example().pictures, start=1):
        links = re.findall(rf'<a href="#image-{index}" aria-label="([^"]+)"', text)
        assert len(links) == 4, "one for each engine"
        assert all(label.startswith(f"{picture.name}: Dice 0.") for label in links)
        assert text.count(f'id="image-{index}"') == 1


@pytest.mark.usefixtures("bare")
def test_images_that_gained_stand_after_those_that_lost():
    first, *others = example().pictures
    page = render(example().report, (replace(first, gained=True), *others))
    order = [page.index(f'-name">{picture.name}') for picture in (*others, first)]
    assert order == sorted(order) and f">{first.name} <small>gained</small>" in page
    many = tuple(replace(first, name=f"n{i}", gained=i > 11) for i in range(15))
    drawn = [plate.name for plate in plates(example().report, many)]
    assert len(drawn) == MOST_PICTURES and drawn[-2:] == ["n12", "n13"]


@pytest.mark.usefixtures("bare")
def test_energy_is_shown_where_it_was_metered():
    report = example().report
    spent = Energy("rapl package-0", 11.5, 24.0, 81.25, 42.3, 500, 5.0)
    rows = tuple(replace(row, energy=spent) if row.name == "mixed" else row for row in report.engines)
    metered = replace(report, engines=rows)
    page, text = render(metered), markdown(metered)
    assert "rapl package-0" in page and "81.2" in page and "42.3" in page and "81.2 mJ" in text
    assert "Energy per image" not in render(report)


@pytest.mark.usefixtures("bare")
def test_pictures_begin_with_an_engine_that_changed_something():
    report, pictures = example().report, example().pictures
    same = tuple(replace(p, engines={**p.engines, "mixed": p.reference}) for p in pictures)
    for shown, wanted in ((pictures, "mixed"), (same, "int8")):
        assert re.search(r'id="show-\d" checked>([^<]+)<', render(report, shown))[1] == wanted


def test_without_pictures_or_times_the_page_still_stands():
    bare = replace(
        example().report,
        status="unconfirmed",
        chosen=None,
        images=None,
        fusion=None,
        calibration=None,
        engines=tuple(
            replace(row, latency_ms=None, latency_quantiles_ms=(), layers=()) for row in example().report.engines
        ),
    )
    page = Page(render(bare))
    assert page.open == [] and page.fragments - set(page.ids) == set()
    assert page.tags["image"] == 0


def test_names_from_outside_are_escaped():
    nasty = replace(example().report, model=replace(example().report.model, name="<script>alert(1)</script>"))
    page = render(nasty, example().pictures)
    assert "<script" not in page and "&lt;script&gt;" in page


def noisy_picture(height: int, width: int) -> Picture:
    """The worst there is to draw: every pixel is an outline, and nothing compresses."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    labels = (rng.random((height, width)) < 0.5).astype(np.uint8)
    return Picture("nuclei-000", pixels, labels, 1 - labels, {"mixed": labels})


def test_large_pictures_are_shrunk_until_they_fit():
    drawn = plates(example().report, [noisy_picture(300, 420)] * 2, budget=700_000)
    assert len(drawn) == 2 and 0.3 <= drawn[0].scale < 0.6
    assert (drawn[0].width, drawn[0].height) == (round(420 * drawn[0].scale), round(300 * drawn[0].scale))
    paths = sum(
        len(p.truth) + len(p.reference) + sum(len(e.outline + e.gained + e.lost) for e in p.engines) for p in drawn
    )
    assert sum(len(plate.data) for plate in drawn) + paths < 700_000


def test_only_so_many_pictures_are_drawn():
    assert len(plates(example().report, [noisy_picture(8, 8)] * (MOST_PICTURES + 3))) == MOST_PICTURES


def test_the_page_is_small(text: str):
    assert len(text.encode()) < 1_000_000


def test_plots_carry_text_and_the_page_s_colours():
    svg = plots.front(example().report)
    assert svg is not None
    assert "mixed (chosen)</text>" in svg and "var(--mixed)" in svg and 'role="img"' in svg
    assert re.findall(r"#0101[0-9a-f]{2}", svg) == [] and "DejaVu" not in svg


# Asks the framed page what it looks like from inside, and says so in its own body.
PROBE = """<!doctype html><body style="margin:0"><iframe src="report.html" width="390" height="3000"></iframe><script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const style = (name) => frames[0].getComputedStyle(page.querySelector(name));
  document.body.textContent = JSON.stringify({
    width: page.documentElement.scrollWidth,
    paper: style("body").backgroundColor,
    ink: style("h1").color,
    plots: [...page.querySelectorAll("svg.plot")].map((svg) => svg.getBoundingClientRect().width),
  });
};
</script>"""


@dataclass(frozen=True)
class Evaluation:
    """What a browser made of a page 390 pixels wide."""

    look: dict[str, Any]
    console: list[str]
    requests: list[str]


def browse(text: str, folder: Path, dark: bool = False) -> Evaluation:
    """Open a page in headless Chromium without a network, framed at a phone's width (windows cannot be that small)."""
    (folder / "report.html").write_text(text, encoding="utf-8")
    (folder / "probe.html").write_text(PROBE, encoding="utf-8")
    log = folder / "net.json"
    done = subprocess.run(
        [
            str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files", "--virtual-time-budget=5000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--log-net-log={log}",
            "--window-size=500,3000", "--dump-dom", (folder / "probe.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    look = re.search(r"<body[^>]*>(\{.*\})</body>", done.stdout)
    assert look, done.stderr[-2000:]
    # One event a line; a browser that is stopped early leaves the document open, so lines are read, not the whole.
    lines = [line.rstrip(",") for line in log.read_text(encoding="utf-8").splitlines() if line.startswith('{"params"')]
    events = [json.loads(line[: line.rindex("}") + 1]) for line in lines]
    assert len(events) > 100, "the browser kept a log"
    params = [event["params"] for event in events if "params" in event]
    # What the browser asks for itself (its clock, its updates) has no origin.
    pages = [p["url"] for p in params if p.get("initiator", "not an origin") != "not an origin" and "url" in p]
    return Evaluation(
        look=json.loads(look[1]),
        console=[line for line in done.stderr.splitlines() if ":CONSOLE" in line],
        requests=[url for url in pages if not url.startswith(("file:", "data:"))],
    )


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)")


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", ["run", "merged"])
@pytest.mark.slow
def test_a_browser_reports_no_error_no_request_and_no_sideways_scroll(
    kind: str, dark: bool, text: str, merged: str, tmp_path: Path
):
    seen = browse(text if kind == "run" else merged, tmp_path, dark)
    assert seen.console == [] and seen.requests == []
    assert seen.look["width"] == 390
    assert seen.look["paper"] == ("rgb(16, 22, 29)" if dark else "rgb(255, 255, 255)")
    assert seen.look["ink"] == ("rgb(232, 237, 242)" if dark else "rgb(22, 32, 43)")
    assert len(seen.look["plots"]) >= 1 and min(seen.look["plots"]) > 200


@needs_browser
def test_the_browser_test_would_notice(tmp_path: Path):
    bad = (
        '<meta name="viewport" content="width=device-width"><h1>x</h1><img src="http://example.invalid/x.png">'
        '<div style="width:900px">wide</div><script>undefined.x</script>'
    )
    seen = browse(bad, tmp_path)
    assert seen.requests == ["http://example.invalid/x.png"]
    assert len(seen.console) == 1 and "TypeError" in seen.console[0]
    assert seen.look["width"] > 390


def test_the_json_beside_the_page_holds_what_it_shows(tmp_path: Path, text: str):
    write_report(example().report, tmp_path, example().pictures)
    table = json.loads((tmp_path / "report.json").read_text())
    assert (tmp_path / "report.html").read_text() == text
    for row in table["engines"]:
        if row["latency_ms"]:
            assert f"{row['latency_ms']['p50']:.2f}" in text
