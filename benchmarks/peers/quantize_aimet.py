"""``python quantize_aimet.py SOURCE.onnx IMAGES.npy OUT.onnx [symmetric]``: AIMET's INT8 Q/DQ.

Runs where it is installed. Its grids are unsigned with zero points, which TensorRT refuses; ``symmetric`` asks for
signed ones without.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
from onnx import numpy_helper


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
    made = simulation.to_onnx_qdq(prequantize_constants=True)
    onnx.save(signed(made) if grids == "symmetric" else made, out)


def signed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Its symmetric grids, which it writes as uint8 around 128, as int8 around 0: level by level the same."""
    zeros = {node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for tensor in model.graph.initializer:
        if tensor.name in zeros and (zero := numpy_helper.to_array(tensor)).dtype == np.uint8 and (zero == 128).all():
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(zero.shape, np.int8), tensor.name))
    del model.graph.value_info[:]  # which names the old types
    return model


if __name__ == "__main__":
    main(*sys.argv[1:])
