"""What a board runs first, sent to it as text: checks its Python, takes the portable files, and starts them.

It may meet any Python from 3.6 on, so it is written for that (annotations are text there). The files lie in
``~/.cache/segedge/<digest>/`` and are compared with the digest at each start; they travel only where they differ.
"""

import hashlib
import json
import os
import shutil
import struct
import sys
import tempfile

OLDEST = (3, 8)


def package_digest(files: "dict[str, bytes]") -> str:
    """Hex SHA-256 of a package: of each file's name and SHA-256, in order.

    Args:
        files: path to contents.
    """
    rows = [[name, hashlib.sha256(files[name]).hexdigest()] for name in sorted(files)]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def say(table: "dict[str, object]") -> None:
    """One message to the workstation, length first."""
    data = json.dumps(table).encode()
    sys.stdout.buffer.write(struct.pack(">I", len(data)) + data)
    sys.stdout.buffer.flush()


def fault(sentence: str) -> None:
    """Say why nothing can be started, and end."""
    say({"fault": sentence})
    sys.exit(3)


def held(folder: str) -> "dict[str, bytes]":
    """The files of a folder, path to contents; empty where there is none."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            if not name.endswith(".pyc"):
                path = os.path.join(root, name)
                with open(path, "rb") as stream:
                    found[os.path.relpath(path, folder)] = stream.read()
    return found


def receive() -> "dict[str, bytes]":
    """The package that the workstation sends: length, then JSON of path to text."""
    (length,) = struct.unpack(">I", sys.stdin.buffer.read(4))
    table = json.loads(sys.stdin.buffer.read(length).decode())
    return {name: text.encode() for name, text in table.items()}


def install(files: "dict[str, bytes]", folder: str) -> None:
    """Write a package whole or not at all."""
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    fresh = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(folder))
    try:
        for name, data in files.items():
            path = os.path.join(fresh, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(data)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def start(marker: str, digest: str, session: str, owner: str, linger: float) -> None:
    """Check, take what is missing, and serve.

    Args:
        marker: line to print before anything else; what a login shell prints comes before it.
        digest: of the package that is wanted.
        session, owner, linger: see :func:`edge.device.serve.main`.
    """
    sys.stdout.write(marker + "\n")
    sys.stdout.flush()
    if sys.version_info < OLDEST:
        fault("its Python is {}.{}; 3.8 or newer is needed".format(*sys.version_info[:2]))
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        fault(f"its Python has no numpy ({error}); install it there: sudo apt install python3-numpy")
    cache = os.path.join(os.path.expanduser("~"), ".cache", "segedge")
    folder = os.path.join(cache, digest)
    try:
        wanted = package_digest(held(folder)) != digest
        say({"wanted": wanted})
        if wanted:
            install(receive(), folder)
            if package_digest(held(folder)) != digest:
                fault("the files that were sent arrived damaged; try again")
            say({"wanted": False})
    except OSError as error:
        fault(f"{error.filename or cache}: {error.strerror}; free its disk, or make its home writable")
    sys.dont_write_bytecode = True
    sys.path.insert(0, folder)
    from edge_bundle.device.serve import main  # type: ignore[import-not-found]

    main(cache, session, owner, linger)
