"""Signatures checked in Python alone: the vectors that the C++ runtime is held to, and what another library signs."""

from __future__ import annotations

import json
import random

import pytest

from edge.trust.ed25519 import verify
from tests.fixtures.runtime_kit import ROOT

VECTORS = json.loads((ROOT / "export" / "runtime" / "tests" / "data" / "ed25519.json").read_text())


@pytest.mark.parametrize("row", VECTORS, ids=lambda row: row["what"])
def test_vectors(row: dict) -> None:
    given = [bytes.fromhex(row[name]) for name in ("key", "message", "signature")]
    assert verify(given[0], given[1], given[2]) is row["valid"]


def test_what_cryptography_signs_is_taken_and_no_bit_of_it_may_change() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    rng = random.Random(5)
    for size in range(8):
        key, message = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)), rng.randbytes(size)
        public, signature = key.public_key().public_bytes_raw(), key.sign(message)
        assert verify(public, message, signature)
        at, bit = rng.randrange(64), 1 << rng.randrange(8)
        assert not verify(public, message, signature[:at] + bytes([signature[at] ^ bit]) + signature[at + 1 :])
    assert not verify(public[:31], message, signature) and not verify(public, message, signature[:63])
