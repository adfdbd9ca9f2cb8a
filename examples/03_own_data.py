"""Images from your own loader: any iterable of (image, mask), here with the split and a name.

python examples/03_own_data.py network.onnx task.toml

A network that carries its task (models/unet, the source.onnx of a run) needs no task.toml.
"""

import sys

import numpy as np

import edge


def cases(count: int = 60):
    """Stands for your loader: bright discs on dark ground, uint8 RGB, and bool masks."""
    rng = np.random.default_rng(0)
    y, x = np.ogrid[:48, :48]
    for index in range(count):
        (cy, cx), r = rng.uniform(12, 36, 2), rng.uniform(6, 12)
        mask = (y - cy) ** 2 + (x - cx) ** 2 < r**2
        image = np.where(mask[..., None], 190, 60) + rng.integers(-25, 25, (48, 48, 3))
        split = "train" if index < 20 else "val" if index < 30 else "test"
        yield image.astype(np.uint8), mask, split, f"case-{index}"


def main(model: str, task: str | None = None) -> None:
    found = edge.check(model, cases(), task=task)
    print(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
