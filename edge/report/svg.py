"""Matplotlib figures as inline SVG that takes the page's colours and font.

Figures are drawn in stand-in colours (:data:`INKS`), which become CSS variables, so one drawing serves light and dark.
Ids are made unique within the page and depend on nothing but the drawing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# CSS variable to the colour that stands for it while drawing.
INKS: Mapping[str, str] = {
    "ink": "#010101",
    "muted": "#010102",
    "line": "#010103",
    "paper": "#010104",
    "fp32": "#010111",
    "bf16": "#010112",
    "fp16": "#010113",
    "int8": "#010114",
    "mixed": "#010115",
    "bad": "#010116",
}
_SETTINGS: dict[Any, Any] = {
    "text.parse_math": False,  # names are text, whatever dollars they hold
    "svg.fonttype": "none",
    "svg.hashsalt": "segedge",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "text.color": INKS["ink"],
    "axes.labelcolor": INKS["ink"],
    "axes.edgecolor": INKS["muted"],
    "xtick.color": INKS["muted"],
    "ytick.color": INKS["muted"],
    "grid.color": INKS["line"],
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
}
_FONTS = re.compile(r"'[^'\";]*'(?:, *(?:'[^'\";]*'|[a-z-]+))*|(?<=px )DejaVu Sans[^;\"]*")


@contextmanager
def drawing() -> Iterator[None]:
    """The style that :func:`inline` expects, for the length of the block."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        yield


def inline(figure: Figure, name: str, title: str, description: str, links: Mapping[str, str] | None = None) -> str:
    """A figure as an ``<svg>`` element.

    Args:
        figure: drawn inside :func:`drawing` in the colours of :data:`INKS`.
        name: unique in the page; prefix of every id.
        title, description: what a screen reader says.
        links: target of a link in the figure (``#fragment``) to what it should be called.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    body = text[text.index("<svg") :]
    # The metadata names nothing of ours; the style would apply to the whole page.
    body = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href=", "href=").replace(' target="_blank"', "")
    body = _prefixed(body, name)
    for variable, colour in INKS.items():
        body = body.replace(colour, f"var(--{variable})")
    body = _FONTS.sub("var(--sans)", body)
    for target, label in (links or {}).items():
        body = body.replace(f'href="{target}"', f'href="{target}" aria-label="{escape(label)}"')
    view = re.search(r'viewBox="([^"]+)"', body)
    assert view is not None
    head = (
        f'<svg class="plot" viewBox="{view.group(1)}" role="{"group" if links else "img"}" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return head + re.sub(r"\s*\n\s*", " ", body[body.index(">") + 1 :].strip())


def _prefixed(body: str, name: str) -> str:
    """Make every id, and every use of one, begin with ``name``."""
    ids = set(re.findall(r'\bid="([^"]+)"', body))
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    return re.sub(
        r'(href="#|url\(#)([^")]+)',
        lambda match: f"{match[1]}{name}-{match[2]}" if match[2] in ids else match[0],
        body,
    )
