"""Writes docs/reference/cli.md and docs/reference/api.md from the command line and the public functions themselves.

python docs/make_reference.py
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import edge
from edge.cli.app import COMMANDS, app
from edge.cli.command import COMMON

REFERENCE = Path(__file__).parent / "reference"
MADE = "<!-- made by docs/make_reference.py; do not edit -->"
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_SECTION = re.compile(r"^(Args|Returns|Raises|Attributes|Yields):$")


def command_line() -> str:
    """The page about ``edge``: every command with its arguments and options, as its parser has them."""
    group: Any = typer.main.get_command(app)
    lines = ["# Command line", "", MADE, "", "| | |", "| --- | --- |"]
    lines += [f"| [`edge {v.__name__}`](#edge-{v.__name__}) | {_cell(summary)} |" for v, _, summary in COMMANDS]
    lines += ["", "Every command also takes:", "", *_table(p for p in _parameters(group, "deploy") if p.name in COMMON)]
    for verb, _, _ in COMMANDS:
        command = group.get_command(typer.Context(group), verb.__name__)
        said, _, example = (command.help or "").partition("Example:")
        lines += ["", f"## edge {verb.__name__}", "", " ".join(said.split()), ""]
        if example:
            lines += [f"    {' '.join(example.split())}", ""]
        lines += _table(p for p in _parameters(group, verb.__name__) if p.name not in COMMON)
    return "\n".join(lines) + "\n"


def python() -> str:
    """The page about ``import edge``: every public name with its signature and docstring."""
    lines = ["# Python", "", MADE, "", "`import edge` gives these; each is imported when it is first used."]
    for name in sorted(edge.__all__, key=lambda name: (name[0].isupper(), name)):
        if not name.startswith("_"):
            lines += ["", *_entry(f"edge.{name}", _public(name))]
    return "\n".join(lines) + "\n"


def _public(name: str) -> Any:
    """The function or class; names that are packages too give the function they are called as."""
    found = getattr(edge, name)
    return getattr(__import__(f"edge.api.{name}", fromlist=[name]), name) if inspect.ismodule(found) else found


def _parameters(group: Any, name: str) -> list[Any]:
    return [p for p in group.get_command(typer.Context(group), name).params if p.name != "help"]


def _table(parameters: Iterator[Any]) -> list[str]:
    rows = ["| | | |", "| --- | --- | --- |"]
    for p in parameters:
        shown = f"`{p.metavar or p.name}`"
        if p.opts[0].startswith("-"):
            flag = getattr(p, "is_flag", False)
            shown = f"`{', '.join(p.opts)}{'' if flag else ' ' + (p.metavar or p.name.upper())}`"
        rows.append(f"| {shown.replace('|', chr(92) + '|')} | {_cell(p.help or '')} | {_usual(p)} |")
    return rows


def _usual(parameter: Any) -> str:
    """What holds where the parameter is not given."""
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or value is False or value == ():
        return ""
    return f"default {value:g}" if isinstance(value, float) else f"default {value}"


def _entry(name: str, found: Any) -> list[str]:
    lines = [f"## {name}", "", *_signature(name, found), *_document(inspect.getdoc(found) or "")]
    if inspect.isclass(found) and not issubclass(found, Exception):
        for member, value in vars(found).items():
            if not member.startswith("_") and callable(getattr(found, member)) and inspect.getdoc(value):
                first = (inspect.getdoc(getattr(found, member)) or "").partition("\n")[0]
                lines.append(f"- `.{member}()`: {_prose(first)}")
    return lines


def _signature(name: str, found: Any) -> list[str]:
    if inspect.isclass(found) and issubclass(found, Exception):
        return []
    given = []
    for p in inspect.signature(found).parameters.values():
        given.append(p.name if p.default is p.empty else f"{p.name}={_default(p.default)}")
    return ["```text", *textwrap.wrap(f"{name}({', '.join(given)})", 96, subsequent_indent="    "), "```", ""]


def _default(value: Any) -> str:
    text = repr(value)
    return "..." if text.startswith("<") else text


def _document(text: str) -> Iterator[str]:
    """Markdown of a docstring: sections become bold words, their items a list."""
    section = False
    for line in text.splitlines():
        found = _SECTION.match(line)
        if found:
            section = True
            yield f"**{found[1]}**"
            yield ""
        elif section and re.match(r"^    \S", line):
            head, colon, rest = line.strip().partition(": ")
            yield f"- `{head}`: {_prose(rest)}" if colon else f"- {_prose(line.strip())}"
        elif section and line.startswith("     "):
            yield f"    {_prose(line.strip())}"
        else:
            section = section and not line.strip()
            yield _prose(line)
    yield ""


def _prose(text: str) -> str:
    return _ROLE.sub(lambda found: f"`{found[1]}`", text).replace("``", "`")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    for page, text in (("cli.md", command_line()), ("api.md", python())):
        (REFERENCE / page).write_text(text, encoding="utf-8")
