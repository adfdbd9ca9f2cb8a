"""Reading plans: real layouts are told apart, and nothing that is not understood ever fails."""

import json
import random

import pytest

from edge.backends.tensorrt.plan import (
    convolution_precisions,
    count_precisions,
    inspector_layers,
    plan_version,
    rtx_layers,
)

RTX_TEXT = """garbage\0\1
descriptors {
  tensor={ alignment=128 dims={ 16 3 3 3 } name="w1" region=consts type=int8 }
  tensor={ alignment=32 dims={ 1 3 8 8 } name="x" region="" type=int8 }
  tensor={ alignment=32 dims={ 1 3 8 8 } name="h" region="" type=half }
  tensor={ alignment=32 dims={ 1 3 8 8 } name="w2" region="" type=half }
  sub_tensor={ base="h" const_offset=0 dims={ 1 3 8 8 } name="h^deref" rank0=0 type=half }
main {
 label bb1:
  function={ name=__myl_Mul args={ "h" } input_args={ "h" } output_args={ "h" } layers="[ONNX Layer: gate/conv]
[ONNX Layer: gate/relu]" swap_ab=false }
  corrltn={ name="a/conv" output={"h" } input={"x" "w1" "one" } stream=0 nbr_groups=1 layers="[ONNX Layer: a/conv]
[ONNX Layer: a/relu]" }
  deconvolution={ name="up" output={"h" } input={"h" "w2" } stream=0 layers="[ONNX Layer: up]" }
  corrltn={ name="mixed" output={"h" } input={"x" "w2" } stream=0 layers="[ONNX Layer: mixed]" }
  corrltn={ name="lost" output={"h" } input={"nowhere" "w2" } stream=0 layers="[ONNX Layer: lost]" }
"""
INSPECTOR = {
    "old": {"Name": "conv1 + relu", "LayerType": "CaskConvolution", "ParameterType": "Convolution",
            "Inputs": [{"Name": "x", "Format/Datatype": "Row major Int8 format"}],
            "Weights": {"Type": "Int8", "Count": 9}, "Metadata": "[ONNX Layer: conv1]\x1e[ONNX Layer: relu]"},
    "new": {"Name": "conv2", "LayerType": "CaskConvolution", "ParameterType": "Convolution",
            "Inputs": [{"Name": "x", "Format": "Channel major", "Datatype": "Half"}],
            "Metadata": "[ONNX Layer: conv2]"},
    "up": {"Name": "up", "LayerType": "CaskDeconvolution",
           "Inputs": [{"Name": "x", "Format/Datatype": "Row major linear FP32"}], "Metadata": "[ONNX Layer: up]"},
    "odd": {"Name": "odd", "LayerType": "Reformat", "Inputs": ["x"]},
}  # fmt: skip


def test_the_text_of_an_rtx_plan_is_read():
    layers = rtx_layers(RTX_TEXT.encode("latin-1"))
    found = convolution_precisions(layers, ["a/conv", "up", "gate/conv", "mixed", "lost", "absent"])
    assert found == {"a/conv": "int8", "up": "fp16", "gate/conv": "fp16", "mixed": "unknown", "lost": "unknown",
                     "absent": "unknown"}  # fmt: skip
    assert count_precisions(found.values()) == {"int8": 1, "fp16": 2, "bf16": 0, "fp32": 0, "unknown": 3}


def test_both_shapes_of_the_inspector_are_read():
    document = json.dumps({"Layers": list(INSPECTOR.values()), "Bindings": ["x", "y"]})
    found = convolution_precisions(inspector_layers(document), ["conv1", "conv2", "up"])
    assert found == {"conv1": "int8", "conv2": "fp16", "up": "fp32"}
    assert [layer.op for layer in inspector_layers(document)] == ["conv", "conv", "deconv", "reformat"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"Layers": 5}', '{"Layers": ["conv1", null, {}, {"Inputs": {}}]}']
)
def test_an_unknown_inspector_is_unknown(text):
    assert all(layer.precision == "unknown" for layer in inspector_layers(text))


def test_damaged_plans_are_unknown_and_never_fail():
    source, chance = RTX_TEXT.encode("latin-1"), random.Random(0)
    for _ in range(300):
        damaged = bytearray(source)
        for _ in range(chance.randint(1, 40)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        found = convolution_precisions(rtx_layers(bytes(damaged[: chance.randrange(len(damaged))])), ["a/conv"])
        assert found["a/conv"] in ("int8", "fp16", "unknown")
    assert rtx_layers(b"") == () and rtx_layers(bytes(range(256)) * 40) == ()


def test_a_plan_tells_its_version():
    header = b"ftrt" + bytes(20) + bytes((10, 3, 0, 30)) + bytes(100)
    assert plan_version(header) == "10.3.0.30"
    for other in (b"", b"vtrt" + bytes(40), b"ftrt\1" + bytes(40), b"ftrt" + bytes(60)):
        assert plan_version(other) is None
