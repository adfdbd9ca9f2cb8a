from __future__ import annotations

from dataclasses import replace

import pytest

from edge.backends.openvino import streams
from edge.backends.openvino.streams import open_load
from edge.errors import InputError
from edge.latency.sweep import sweep


def test_every_setting_has_a_row(engine) -> None:
    rows = sweep(engine, batches=(1, 2), streams=(1, 2), seconds=0.2)
    assert [(row.batch, row.streams) for row in rows] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for row in rows:
        assert row.note == ""
        assert row.requests >= 1
        assert row.images_per_second is not None and row.images_per_second > 0
        assert row.request_p50_ms is not None and row.request_p50_ms > 0


def test_requests_of_one_stream_do_not_overlap(engine) -> None:
    load = open_load(engine, 1, 1, 1)(0.5)
    assert load.requests == len(load.latencies_ms) >= 1
    assert 0 < sum(load.latencies_ms) <= 1e3 * load.seconds


def test_a_row_is_what_the_requests_come_to(engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "open_load", lambda *_: lambda _: streams.Load(8, 2.0, (9.0, 1.0, 3.0)))
    (row,) = sweep(engine, batches=(3,), streams=(2,))
    assert (row.images_per_second, row.request_p50_ms, row.requests) == (12.0, 3.0, 8)


def test_another_backend_is_refused(engine) -> None:
    with pytest.raises(InputError, match="backend tensorrt has no batch and stream sweep"):
        sweep(replace(engine, backend="tensorrt"))


def test_a_network_of_one_image_says_so(tmp_path) -> None:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    from edge.backends.engine import Candidate
    from edge.backends.openvino.backend import OpenVino
    from edge.graph.model import Model
    from edge.targets.target import find_target
    from edge.task.task import SegmentationTask

    shape = numpy_helper.from_array(np.array([1, 3, 64]), "flat")
    back = numpy_helper.from_array(np.array([1, 3, 8, 8]), "square")
    weight = numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["image", "flat"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Reshape", ["b", "square"], ["c"]),
            helper.make_node("Conv", ["c", "w"], ["output"]),
        ],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, (1, 1, 8, 8))],
        [shape, back, weight],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model = Model(proto, SegmentationTask(size=(8, 8)), "fixed")
    built = OpenVino().build(Candidate("fp32", "fp32", "fp32", model), find_target("cpu"), tmp_path)
    one, two = sweep(built, batches=(1, 2), streams=(1,), seconds=0.05)
    assert one.images_per_second is not None
    assert two.images_per_second is None
    assert "batch 1 built in" in two.note
