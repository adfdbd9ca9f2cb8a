"""Deploy a network, look at the run, and segment an image with the engine that it chose.

python examples/01_deploy.py models/unet calibration/dsb2018 runs/example
"""

import sys

import numpy as np

import edge


def main(model: str, data: str, out: str, budget: float = 300.0, seconds: float = 3.0) -> None:
    run = edge.deploy(model, data, out=out, budget=budget, seconds=seconds, progress=show)
    print(run)
    if run.engine is None:
        sys.exit("no engine passes the gate; the report says what each one loses")
    with edge.load_engine(run) as engine:
        image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)  # your image, RGB
        mask = engine.segment(image)
        print(engine, "gives a mask of", mask.shape, mask.dtype)


def show(event) -> None:
    if event.kind == "stage":
        print(f"[{event.number}/{event.of}] {event.stage}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(float, sys.argv[4:]))
