"""Archives made by hand, honest and hostile, all with the right outer hash (an attacker can compute that too)."""

import hashlib
import io
import json
import tarfile

from edge.bundle.container import seal
from edge.device.manifest import DIGEST, MANIFEST, SCHEMA, digest_line

FILES = {
    "README.md": b"three commands\n",
    "candidates/int8/graph.onnx": bytes(range(256)) * 40,
    "candidates/int8/parity.npz": b"PK" + bytes(700),
    "edge_bundle/__init__.py": b'"""Runs on the device."""\n',
}


def manifest(files=FILES, **changes):
    table = {
        "schema": SCHEMA,
        "title": "tiny for cpu",
        "backend": "openvino",
        "target": {"name": "cpu"},
        "runs_on": {"kind": "cpu"},
        "model": {},
        "task": {},
        "gate": {},
        "data": {},
        "reference": {},
        "versions": {},
        "candidates": [
            {
                "name": "int8",
                "precision": "int8",
                "rest": "fp32",
                "graph": "candidates/int8/graph.onnx",
                "graph_sha256": "0" * 64,
                "parity": "candidates/int8/parity.npz",
                "reasons": {},
            }
        ],
        "files": {n: {"bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in files.items()},
    }
    extra = changes.pop("extra_files", {})
    table = {**table, **changes}
    if extra:
        table["files"].update(extra)
    return json.dumps(table).encode()


def member(name, data=b"", kind=tarfile.REGTYPE, link="", size=None):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data) if size is None else size, kind, link
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def head(text):
    return member(DIGEST, digest_line(text)) + member(MANIFEST, text)


def body(files=FILES):
    return b"".join(member(name, data) for name, data in sorted(files.items()))


def archive(*parts):
    return seal(b"".join(parts) + bytes(1024))


def as_tar(data):
    return tarfile.open(fileobj=io.BytesIO(data), mode="r:gz")
