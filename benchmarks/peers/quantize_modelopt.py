"""``python quantize_modelopt.py SOURCE.onnx IMAGES.npy OUT.onnx``: ModelOpt's INT8 Q/DQ. Runs where it is installed."""

from __future__ import annotations

import sys

import numpy as np


def main(source: str, images: str, out: str) -> None:
    from modelopt.onnx.quantization import quantize

    quantize(
        onnx_path=source,
        quantize_mode="int8",
        calibration_data=np.load(images),
        calibration_method="max",
        calibration_eps=["cpu"],
        output_path=out,
        high_precision_dtype="fp32",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
