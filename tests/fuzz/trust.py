"""Surfaces of trust: signatures, public and private keys."""

from __future__ import annotations

from pathlib import Path

from edge.trust.keys import new_key, read_private_key, read_public_key
from edge.trust.signature import require_trusted, sign
from tests.fixtures.discs import TASK
from tests.fixtures.runtime_kit import make_engine
from tests.fuzz.mutate import mutated_bytes, mutated_json
from tests.fuzz.surface import Surface


def surfaces(place: Path) -> list[Surface]:
    """Doors of signatures."""
    public = new_key(place / "mine.key")
    engine = make_engine(place / "engine", TASK).folder
    signature = sign(engine, place / "mine.key").read_bytes()

    def read_owned(path: Path) -> object:
        path.chmod(0o600)
        return read_private_key(path)

    return [
        Surface(
            "signature",
            3,
            {"engine.sig": signature},
            mutated_json,
            lambda path: require_trusted(path.parent, [public]),
            engine,
        ),
        Surface("public key", 1, {"mine.key.pub": public.read_bytes()}, mutated_bytes, read_public_key),
        Surface("private key", 1, {"mine.key": (place / "mine.key").read_bytes()}, mutated_bytes, read_owned),
    ]
