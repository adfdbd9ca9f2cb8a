"""Lowering: one graph for each TensorRT generation, by exact decompositions, and a table that says what each takes.

TensorRT 8.x reads newer operator sets without complaint and computes something else, so nothing is handed to a
parser that its table (``parsers.toml``) does not list.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

from edge.errors import InputError
from edge.graph.editor import Editor
from edge.graph.model import Model
from edge.graph.native import check, infer_shapes
from edge.lowering.limits import LIMITS, Context, attribute
from edge.lowering.parsers import Parser, find_parser
from edge.lowering.rewrites import REWRITES

__all__ = ["find_parser", "lower", "require_supported", "unsupported"]

# Operators whose later form means the same for the types these networks use (newer ones only add types).
_SAME = {
    "AveragePool", "Cast", "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "DequantizeLinear", "Dropout", "Elu",
    "Equal", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "GridSample", "HardSigmoid", "HardSwish", "Identity",
    "InstanceNormalization", "MaxPool", "Mish", "QuantizeLinear", "Pad", "ReduceMax", "ReduceMin", "Reshape", "Resize",
    "Round", "Selu", "Shape", "Sin", "Cos", "Softplus", "Softsign", "Split", "Squeeze", "ThresholdedRelu", "TopK",
    "Transpose", "Unsqueeze", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceProd",
    "ReduceSumSquare", "ScatterElements", "ScatterND",
}  # fmt: skip


def lower(model: Model, tensorrt: str) -> Model:
    """The same function as a graph that a TensorRT version takes.

    Only what the version lacks is rewritten; tensors that remain keep their names. FP16 is cast after lowering
    (:func:`edge.quantization.half.to_half`), quantization may come before or after.

    Args:
        model: static shapes, batch 1.
        tensorrt: version, such as ``8.5.2`` or ``10.3``.

    Raises:
        InputError: an operator or a form of it that the version does not take and no decomposition removes.
    """
    import onnx_ir.passes.common as passes

    parser = find_parser(tensorrt)
    graph, opset = model.to_ir(), min(model.opset, parser.opset)
    _infer(graph)
    editor = Editor(graph)
    for rewrite in REWRITES:
        if rewrite.when(parser, model.opset):
            rewrite.sweep(editor)
    passes.RemoveUnusedNodesPass()(graph)
    if opset < model.opset:
        _lower_opset(model, graph, opset)
    editor.sweep_up()
    lowered = _with_ir_version(model.with_ir(graph), opset)
    require_supported(lowered, tensorrt)
    try:
        check(lowered.proto, full=True, where=model.source or model.name)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{model.name}: cannot be written in opset {opset} for {parser.name} ({reason})") from error
    return lowered


def require_supported(model: Model, tensorrt: str) -> None:
    """Refuse a graph that a TensorRT version's parser would reject or misread.

    Raises:
        InputError: names the operators and what is wrong with each.
    """
    faults = unsupported(model, tensorrt)
    if faults:
        name = find_parser(tensorrt).name
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise InputError(f"{model.name}: {name} does not take {'; '.join(faults[:3])}{more}")


def unsupported(model: Model, tensorrt: str) -> tuple[str, ...]:
    """What a version's parser would reject or misread, one phrase each; empty where it takes the graph."""
    parser = find_parser(tensorrt)
    context = _context(model, parser)
    faults = []
    if model.opset > parser.opset:
        faults.append(f"opset {model.opset} (at most {parser.opset})")
    if not parser.typed and onnx.TensorProto.FLOAT16 in context.types.values():
        faults.append("FP16 tensors (it is not strongly typed, give it the FP32 graph)")
    for entry in model.proto.opset_import:
        if entry.domain not in ("", "ai.onnx") and any(n.domain == entry.domain for n in model.proto.graph.node):
            faults.append(f"operators of {entry.domain}")
    for node in model.proto.graph.node:
        operator = parser.operators.get(node.op_type)
        if operator is None:
            faults.append(f"operator {node.op_type} ({node.name!r})")
            continue
        for limit in operator.limits:
            phrase = LIMITS[limit](node, context)
            if phrase:
                faults.append(f"{node.op_type} {node.name!r} with {phrase}")
    return tuple(dict.fromkeys(faults))


def _context(model: Model, parser: Parser) -> Context:
    graph = model.proto.graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        value = attribute(node, "value") if node.op_type == "Constant" else None
        if isinstance(value, onnx.TensorProto):
            constants[node.output[0]] = onnx.numpy_helper.to_array(value)
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    types.update({v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)})
    return Context(parser, model.opset, constants, types)


def _lower_opset(model: Model, graph: ir.Model, opset: int) -> None:
    """Restate nodes in an older operator set: drop attributes it lacks where they say what is the default anyway."""
    for node in graph.graph:
        old = _schema(node.op_type, opset)
        new = _schema(node.op_type, model.opset)
        if old is None or new is None:
            raise InputError(f"{model.name}: opset {opset} has no {node.op_type} ({node.name!r})")
        if old.since_version != new.since_version and node.op_type not in _SAME:
            raise InputError(f"{model.name}: {node.op_type} ({node.name!r}) means something else in opset {opset}")
        for name in set(node.attributes) - set(old.attributes):
            if name not in new.attributes:
                raise InputError(f"{model.name}: {node.op_type} ({node.name!r}) has an unknown attribute {name}")
            if not _is_default(node.attributes[name], new.attributes[name]):
                raise InputError(f"{model.name}: {node.op_type} ({node.name!r}) uses {name}, new after opset {opset}")
            del node.attributes[name]
    graph.opset_imports[""] = opset


def _is_default(found: ir.Attr, declared: onnx.defs.OpSchema.Attribute) -> bool:
    value = onnx.helper.get_attribute_value(ir.to_proto(found))
    if declared.default_value.name:
        return bool(value == onnx.helper.get_attribute_value(declared.default_value))
    return declared.name == "dilations" and set(value) == {1}


def _schema(op_type: str, opset: int) -> onnx.defs.OpSchema | None:
    try:
        return onnx.defs.get_schema(op_type, max_inclusive_version=opset)
    except onnx.defs.SchemaError:
        return None


def _infer(graph: ir.Model) -> None:
    import onnx_ir.passes.common as passes

    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)
    infer_shapes(graph)


def _with_ir_version(model: Model, opset: int) -> Model:
    """The oldest file format that the opset goes with; old parsers know no newer one."""
    model.proto.ir_version = onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])
    return model
