"""``python quantize_aimet.py SOURCE.onnx IMAGES.npy OUT.onnx [symmetric]``: AIMET's INT8 Q/DQ.

Runs where it is installed. Its grids are unsigned with zero points, which TensorRT refuses; ``symmetric`` asks for
signed ones without.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx


def main(source: str, images: str, out: str, grids: str = "asymmetric") -> None:
    from aimet_onnx import QuantizationSimModel, int8

    model = onnx.load(source)
    weights = {tensor.name for tensor in model.graph.initializer}
    name = next(value.name for value in model.graph.input if value.name not in weights)
    simulation = QuantizationSimModel(
        model, param_type=int8, activation_type=int8, config_file="htp_v81", providers=["CPUExecutionProvider"]
    )
    for activation in simulation.activation_names if grids == "symmetric" else ():
        quantizer = simulation.qc_quantize_op_dict[activation]
        quantizer.use_symmetric_encodings, quantizer.use_unsigned_symmetric = True, False
    simulation.compute_encodings([{name: image[None]} for image in np.load(images)])
    onnx.save(simulation.to_onnx_qdq(prequantize_constants=True), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
