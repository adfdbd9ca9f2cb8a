"""Ed25519 signatures checked with nothing but the standard library (RFC 8032, section 5.1.7).

Keys are made and things are signed by the cryptography package, which keeps secrets from leaking through the time that
they take. Checking has no secrets: key, message and signature are all public. So it needs no package, and a machine
that is told to trust a key never has an excuse not to check. ``export/runtime/src/ed25519.cpp`` is the same in C++, and
``tests/trust/vectors.json`` holds both to the same answers.
"""

from __future__ import annotations

import hashlib

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)  # of -1

_Point = tuple[int, int, int, int]
"""Extended coordinates: X, Y, Z and T with x = X/Z, y = Y/Z and xy = T/Z."""


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is this key's, of this message.

    Args:
        key: 32 bytes.
        message: of any length.
        signature: 64 bytes.
    """
    if len(key) != 32 or len(signature) != 64:
        return False
    owner, scalar = _point(key), int.from_bytes(signature[32:], "little")
    if owner is None or scalar >= _ORDER:
        return False
    digest = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % _ORDER
    negated = (-owner[0] % _P, owner[1], owner[2], -owner[3] % _P)
    return _encoded(_add(_times(scalar, _BASE), _times(digest, negated))) == signature[:32]


def _point(data: bytes) -> _Point | None:
    """The point that 32 bytes stand for; None where they stand for none, or not in the one way allowed."""
    number = int.from_bytes(data, "little")
    y, odd = number & (2**255 - 1), number >> 255
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _ROOT % _P
    if x * x % _P != square or (x == 0 and odd):
        return None
    if x & 1 != odd:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _encoded(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _add(first: _Point, second: _Point) -> _Point:
    a = (first[1] - first[0]) * (second[1] - second[0]) % _P
    b = (first[1] + first[0]) * (second[1] + second[0]) % _P
    c = 2 * _D * first[3] * second[3] % _P
    d = 2 * first[2] * second[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(scalar: int, point: _Point) -> _Point:
    total: _Point = (0, 1, 1, 0)
    for bit in f"{scalar:b}":
        total = _add(total, total)
        if bit == "1":
            total = _add(total, point)
    return total


def _base() -> _Point:
    found = _point((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert found is not None
    return found


_BASE = _base()
