"""Pack a run for a device, and verify the archive there (here: on this machine, for the target cpu).

python examples/04_bundle.py runs/unet cpu unet.tar.gz
"""

import sys

import edge


def main(run: str, target: str, archive: str, seconds: float = 10.0) -> None:
    packed = edge.bundle(run, target, archive, allow_small=True)
    print(packed.path, packed.bytes, "bytes")
    print(edge.verify(packed.path, out=f"{archive}.verified", seconds=seconds))


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(float, sys.argv[4:]))
