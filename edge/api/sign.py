"""Sign a run, an engine or a bundle."""

from pathlib import Path
from typing import Annotated

from edge.api.checked import checked
from edge.api.options import Argument, Option, PathLike, RunLike


@checked
def sign(
    thing: Annotated[RunLike, Argument("THING", "run, engine or bundle")],
    key: Annotated[PathLike, Option("private key", "FILE", required=True)],
    new_key: Annotated[bool, Option("make the key first, and FILE.pub to hand out")] = False,
) -> Path:
    """Sign a run, an engine or a bundle, for those who trust your key (edge verify --trusted-key).

    Example: edge sign runs/unet.tar.gz --key runs/my.key --new-key

    Args:
        thing: what edge deploy, build or bundle wrote; a run in memory is its folder.
        key: an Ed25519 key that only its owner may read.
        new_key: make the key first, with ``key.pub``, its public half.

    Returns:
        The signature's file: in the folder of an engine or a run, beside a bundle.

    Raises:
        InputError: not one of these, damaged, or a key that others may read.
        MachineError: the package for signatures is not installed.
    """
    from edge.api.given import as_path
    from edge.api.run import Run
    from edge.trust.keys import new_key as make_key
    from edge.trust.signature import sign as write_signature

    if new_key:
        make_key(as_path("key", key))
    path = thing.folder if isinstance(thing, Run) else as_path("thing", thing)
    return write_signature(path, as_path("key", key))
