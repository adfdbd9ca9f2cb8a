"""How ours stands against every peer in one measure, and the table of all measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Measure:
    """What is compared.

    Attributes:
        name: key in the results file.
        title: of its column.
        more: whether more is better.
        digits: after the point.
        peers_own: False where what peers are held to is another measure's figures.
    """

    name: str
    title: str
    more: bool
    digits: int
    peers_own: bool = True


MEASURES = (
    Measure("throughput", "images/s", more=True, digits=1),
    Measure("own_throughput", "images/s, own batches × streams", more=True, digits=1, peers_own=False),
    Measure("mask_ms", "picture to mask, ms", more=False, digits=2),
    Measure("peak_mb", "peak memory, MB", more=False, digits=0),
    Measure("load_seconds", "file to first mask, s", more=False, digits=2),
    Measure("build_seconds", "build, s", more=False, digits=1),
)

_AGAINST: Mapping[str, str] = {"best": "ours over the best peer", "best_passing": "ours over the best that passes"}


@dataclass(frozen=True)
class Series:
    """One contestant's figures in one measure.

    Attributes:
        rounds: a figure of each round.
        error: why there is none, or no more.
    """

    rounds: tuple[float, ...] = ()
    error: str | None = None

    @property
    def value(self) -> float | None:
        """Median over rounds; None where it is lost."""
        return median(self.rounds) if self.rounds and self.error is None else None

    def row(self) -> dict[str, Any]:
        """As the results file has it."""
        return {"value": self.value, "rounds": list(self.rounds), "error": self.error}


def standing(measure: Measure, ours: Series, peers: Mapping[str, Series], passing: Set[str]) -> dict[str, Any]:
    """A measure's entry of the results file.

    Args:
        measure: which.
        ours: the chosen engine.
        peers: by name.
        passing: those that are known to pass the gate.
    """
    return {
        "ours": ours.row(),
        "peers": {name: series.row() for name, series in peers.items()},
        "best": _against(measure, ours, peers),
        "best_passing": _against(measure, ours, {name: row for name, row in peers.items() if name in passing}),
    }


def _against(measure: Measure, ours: Series, peers: Mapping[str, Series]) -> dict[str, Any] | None:
    """The best of some peers, and how many times as good ours is, round by round; None where there is none."""
    values = {name: series.value for name, series in peers.items() if series.value is not None}
    if not values or ours.value is None:
        return None
    name = (max if measure.more else min)(values, key=lambda peer: values[peer])
    pairs = zip(ours.rounds, peers[name].rounds, strict=False)
    ratios = [mine / theirs if measure.more else theirs / mine for mine, theirs in pairs]
    over = {"median": median(ratios), "min": min(ratios), "max": max(ratios), "rounds": ratios}
    return {"peer": name, "value": values[name], "ours_over": over}


def table(networks: Mapping[str, Any]) -> str:
    """The results as Markdown: a line for every contestant, and two for how ours stands."""
    columns = ("network", "contestant", *(measure.title for measure in MEASURES))
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for network, entry in networks.items():
        measures = entry["measures"]
        lines.append(_line(network, f"**{entry['ours']}**", _figures({m: measures[m]["ours"] for m in measures})))
        for peer in measures[MEASURES[0].name]["peers"]:
            rows = {m.name: measures[m.name]["peers"][peer] for m in MEASURES if m.peers_own}
            lines.append(_line(network, peer, _figures(rows)))
        for kind, title in _AGAINST.items():
            if any(measures[measure.name][kind] for measure in MEASURES):
                cells = [_verdict(measures[measure.name][kind]) for measure in MEASURES]
                lines.append(_line(network, title, cells))
    return "\n".join([*lines, "", _NOTE, ""])


_NOTE = (
    "Medians over rounds. Ratios are of the rounds, median (least to most); above 1 ours is better, **behind** says "
    "that it is not. Images/s: `benchmark_app -hint throughput`, batch 1; our own batches and streams are held to the "
    "peers' figures there. Build: ours is the whole deployment, search, scores and report included; a peer's is its "
    "quantization and loading, nothing judged."
)


def _line(network: str, name: str, cells: Iterator[str] | list[str]) -> str:
    return f"| {network} | {name} | {' | '.join(cells)} |"


def _figures(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A contestant's cells; what is lost says why, once."""
    told: set[str] = set()
    for measure in MEASURES:
        row = rows.get(measure.name, {"value": None, "error": None})
        if row["value"] is not None:
            yield f"{row['value']:.{measure.digits}f}"
        else:
            reason = row["error"] or ""
            yield "" if reason in told else reason
            told.add(reason)


def _verdict(against: Mapping[str, Any] | None) -> str:
    if against is None:
        return ""
    over = against["ours_over"]
    figure = f"{_times(over['median'])} ({_times(over['min'])} to {_times(over['max'])}), {against['peer']}"
    return figure if over["median"] >= 1.0 else f"**behind**: {figure}"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.1g}"
