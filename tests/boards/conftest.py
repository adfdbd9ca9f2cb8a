"""A board on loopback, its user, and what is deployed to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.discs import write_disc_case
from tests.fixtures.sshd import SshBoard, ssh_board


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshBoard]:
    """A running board."""
    with ssh_board(tmp_path_factory.mktemp("board")) as running:
        yield running


@pytest.fixture
def client(machine: SshBoard, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process is the user whose key the board takes; gives that user's home."""
    monkeypatch.setenv("HOME", str(machine.client))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return machine.client


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network and an image set."""
    return write_disc_case(tmp_path_factory.mktemp("deploy"))
