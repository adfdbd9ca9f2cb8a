"""A tiny U-Net and tiny pictures, with everything in them that must not leave a workstation."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edge.files import write_text
from edge.model import Model
from edge.task import SegmentationTask

SIZE = (32, 32)
SECRET = "patient_jane_doe"


def tiny_unet() -> Model:
    """Brightness through an encoder, a decoder and a skip; logits above 0 where the picture is bright."""
    generator = np.random.default_rng(0)

    def weight(name, out, inp, k, gain):
        values = generator.normal(0, 0.02, (out, inp, k, k))
        values[:, :, k // 2, k // 2] += gain / inp
        return numpy_helper.from_array(values.astype(np.float32), name)

    weights = [
        weight("w1", 8, 3, 3, 1.0),
        weight("w2", 16, 8, 3, 1.0),
        weight("w3", 8, 24, 3, 1.0),
        weight("w4", 1, 8, 1, 20.0),
        numpy_helper.from_array(np.array([-7.0], np.float32), "b4"),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c1"], "enc1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("MaxPool", ["r1"], ["p1"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], "enc2", pads=[1] * 4),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Resize", ["r2", "", "scales"], ["u"], "up", mode="nearest"),
        helper.make_node("Concat", ["r1", "u"], ["cat"], "skip", axis=1),
        helper.make_node("Conv", ["cat", "w3"], ["c3"], "dec", pads=[1] * 4),
        helper.make_node("Relu", ["c3"], ["r3"], "relu3"),
        helper.make_node("Conv", ["r3", "w4", "b4"], ["output"], "head"),
    ]
    for node in nodes:  # what exporters leave behind
        node.doc_string = f"File /home/{SECRET}/models/unet/network.py, line 12"
        entry = node.metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.stack_trace", f"/home/{SECRET}/train.py"
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *SIZE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, *SIZE])],
        weights,
        doc_string=f"exported by {SECRET}",
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], producer_name=SECRET, ir_version=9)
    onnx.checker.check_model(proto)
    return Model(proto, SegmentationTask(size=SIZE, classes=("nucleus",)), "tiny", "tiny.onnx")


def picture_set(root):
    """60 pictures of bright discs, of different sizes, with masks; names that must not travel."""
    generator = np.random.default_rng(1)
    rows = ["image,mask,split,modality"]
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index in range(60):
        height, width = 30 + index % 5, 40 - index % 7
        y, x = np.mgrid[:height, :width]
        inside = np.hypot(
            y - generator.uniform(8, height - 8), x - generator.uniform(8, width - 8)
        ) < generator.uniform(4, 8)
        pixels = np.where(inside, 190, 45)[..., None] + generator.integers(-20, 20, (height, width, 3))
        split = ("train", "val", "test")[min(index // 16, 2)]
        name = f"{SECRET}_{index}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / "images" / name)
        Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).save(root / "masks" / name)
        rows.append(f"images/{name},masks/{name},{split},{'ct' if index % 2 else 'mr'}")
    write_text(root / "manifest.csv", "\n".join(rows) + "\n")
    return root
