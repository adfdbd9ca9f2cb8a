"""``python quantize_nncf.py SOURCE.onnx IMAGES.npy OUT.xml``: NNCF's post-training INT8. Runs where it is installed."""

from __future__ import annotations

import sys

import numpy as np


def main(source: str, images: str, out: str, preset: str = "MIXED") -> None:
    import nncf
    import openvino

    batches = [image[None] for image in np.load(images)]
    made = nncf.quantize(
        openvino.Core().read_model(source),
        nncf.Dataset(batches),
        preset=nncf.QuantizationPreset[preset],
        subset_size=len(batches),
    )
    openvino.save_model(made, out, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
