"""Names of boards, and the forms of their addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.boards.address import Address, parse_address
from edge.boards.registry import add_board, known_boards
from edge.errors import InputError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("nano", Address("nano")),
        ("jetson@10.0.0.5", Address("10.0.0.5", "jetson")),
        ("jetson@nano.lab:2222", Address("nano.lab", "jetson", 2222)),
        ("[fe80::1]:22", Address("fe80::1", None, 22)),
    ],
)
def test_an_address_has_a_host_and_may_have_a_user_and_a_port(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=x", "a b", "user@", "nano:0", "nano:99999", "a;b", "$(x)", "x@-y"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no board"):
        parse_address(text)


def test_boards_are_kept_by_name(tmp_path: Path) -> None:
    path = tmp_path / "boards.toml"
    assert known_boards(path) == {}
    add_board("nano1", parse_address("jetson@10.0.0.5"), path)
    add_board("agx", Address("agx.lab", None, 2222, "python3.10"), path)
    assert known_boards(path) == {
        "agx": Address("agx.lab", None, 2222, "python3.10"),
        "nano1": Address("10.0.0.5", "jetson"),
    }
    with pytest.raises(InputError, match="is no name for a board"):
        add_board("../x", Address("a"), path)
    path.write_text('[nano1]\nhost = "x"\n')
    with pytest.raises(InputError, match=r"\[nano1\] needs on"):
        known_boards(path)
