"""The hash that binds a JSON document to itself: changed anywhere, it no longer has the value that it says.

Portable: it travels to boards, and ``export/runtime/src/manifest.cpp`` checks the same. The document holds
``"binding": "<64 hex digits>"``, the SHA-256 of its own bytes with those digits as zeros. That shows damage and
editing, not origin: whoever edits a document can bind it anew, which is what signatures are for.
"""

from __future__ import annotations

import hashlib
import re

BLANK = "0" * 64
_FIELD = re.compile(rb'"binding": "([0-9a-f]{64})"')  # quotes inside a JSON text are escaped, so it is no text's part


def bind(document: bytes) -> bytes:
    """Fill in the hash of a document whose ``binding`` is :data:`BLANK`.

    Raises:
        ValueError: it has no such field, or several.
    """
    if len(_FIELD.findall(document)) != 1:
        raise ValueError("the document needs one field named binding")
    digest = hashlib.sha256(_blank(document)).hexdigest()
    return _FIELD.sub(b'"binding": "' + digest.encode() + b'"', document)


def is_bound(document: bytes) -> bool:
    """Whether a document says the hash that it has."""
    said = _FIELD.findall(document)
    return len(said) == 1 and hashlib.sha256(_blank(document)).hexdigest().encode() == said[0]


def _blank(document: bytes) -> bytes:
    return _FIELD.sub(b'"binding": "' + BLANK.encode() + b'"', document)
