"""Times a run's engines against what a user could have had instead on the same GPU, in turn, and prints JSON.

``python -m benchmarks.gpu.compare --run RUN --model MODEL --data SET``. Every contender takes a float32 image in host
memory and gives float32 maps in host memory; the clock is the host's, round all of it. A contender whose package is
missing or that fails has a row with the reason. Our engines are also held against their simulation, which is ONNX
Runtime on the graph that was compiled: decibels and pixels of the masks, over a few pictures of the set. ``--device
cpu`` walks the other contenders' code without a GPU, for a rehearsal.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.sqnr import parity_db, sqnr_db
from edge.backends import find_backend
from edge.backends.engine import read_engine
from edge.backends.onnxruntime import reference
from edge.backends.tensorrt.torch import typing_options
from edge.graph.model import read_model
from edge.images.image_set import ImageSet, load_image_set
from edge.latency.statistics import ratio
from edge.search.build import compiled_graph

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
_WARM_UP = {"cuda": 10, "cpu": 1}  # runs before the clock, and at least so many by it
_IMAGES = 4
_OURS = "edge "
_COMPILE = {"cuda": {"mode": "max-autotune"}, "cpu": {"backend": "aot_eager"}}  # without a GPU: traced, no kernels made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="run folder of edge deploy --target gpu")
    parser.add_argument("--model", required=True, help="what was deployed; a model folder for the PyTorch contenders")
    parser.add_argument("--data", type=Path, required=True, help="image set whose pictures simulation is compared on")
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing for each contender")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="of PyTorch and ONNX Runtime")
    arguments = parser.parse_args()
    source = read_model(arguments.run / "source.onnx")
    shape = (1, source.task.in_channels, *source.task.size)
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected = reference(source).run(image)
    contenders: dict[str, Run] = {}
    rows: dict[str, dict[str, Any]] = {}
    for name, make in _makers(arguments.run, arguments.model, image, arguments.device).items():
        start = time.monotonic()
        try:
            run = make()
            for _ in range(_WARM_UP[arguments.device]):
                output = run(image)
        except Exception as error:
            rows[name] = {"ms": None, "reason": f"{type(error).__name__}: {error}"[:300]}
            continue
        contenders[name] = run
        rows[name] = {
            "ready_seconds": round(time.monotonic() - start, 2),
            "sqnr_db": sqnr_db([expected], [output]),
            "pixels_differing": _pixels_differing(source, expected, output),
            "reason": "",
        }
    images = load_image_set(arguments.data).spread(_IMAGES)
    for name in (name for name in contenders if name.startswith(_OURS)):
        folder = arguments.run / "engines" / name.removeprefix(_OURS)
        rows[name]["simulation"] = against_simulation(folder, contenders[name], images)
    times = _in_turn(contenders, image, arguments.seconds, _WARM_UP[arguments.device])
    for name, series in times.items():
        rows[name]["ms"] = float(np.median(series))
    print(json.dumps({"device": arguments.device, "contenders": rows, "ratios": _ratios(times)}))


def against_simulation(folder: Path, run: Run, images: ImageSet) -> dict[str, Any]:
    """How far an engine's maps are from its own graph's in ONNX Runtime, and in how many pixels its masks differ."""
    graph = compiled_graph(read_engine(folder))
    if graph is None:
        return {"reason": "its graph is not in its folder"}
    simulated, task = reference(graph), graph.task
    inputs = [task.preprocess(sample.plane(task))[None] for sample in images]
    pairs = [(simulated.run(image), run(image).copy()) for image in inputs]
    return {
        "images": len(pairs),
        "parity_db": parity_db([exact for exact, _ in pairs], [ours for _, ours in pairs]),
        "pixels_differing": sum(_pixels_differing(graph, exact, ours) for exact, ours in pairs),
    }


def _makers(run: Path, model: str, image: NDArray[np.float32], device: str) -> dict[str, Callable[[], Run]]:
    ours = {f"{_OURS}{folder.name}": _engine(folder) for folder in sorted((run / "engines").iterdir())}
    return {
        **ours,
        "torch eager fp16": lambda: _torch(model, image, device, lambda network: network),
        "torch.compile fp16": lambda: _torch(model, image, device, lambda network: _compiled(network, device)),
        "torch-tensorrt fp16": lambda: _torch(model, image, device, lambda net: _torch_tensorrt(net, image, device)),
        "onnxruntime cuda": lambda: _onnxruntime(run / "source.onnx", device),
    }


def _engine(folder: Path) -> Callable[[], Run]:
    def make() -> Run:
        engine = read_engine(folder)
        return find_backend(engine.backend).load(engine).run

    return make


def _torch(model: str, image: NDArray[np.float32], device: str, prepare: Callable[[Any], Any]) -> Run:
    import torch

    from edge.loading.folder import build_network, read_folder
    from edge.loading.weights import load_weights

    path, _, checkpoint = model.partition("@")
    if not Path(path).is_dir():
        raise ValueError(f"{model} is no model folder")
    folder = read_folder(Path(path), checkpoint or None)
    network = build_network(folder)
    network.load_state_dict(load_weights(folder.checkpoint, network), strict=True)
    prepared = prepare(network.eval().half().to(device))
    host = torch.empty(image.shape, dtype=torch.float32, pin_memory=device == "cuda")

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        host.copy_(torch.from_numpy(batch))
        with torch.inference_mode():
            output = prepared(host.to(device, non_blocking=True).half())
        first = output if isinstance(output, torch.Tensor) else next(iter(output))
        return np.asarray(first.float().cpu().numpy())

    return run


def _compiled(network: Any, device: str) -> Any:
    import torch

    return torch.compile(network, **_COMPILE[device])


def _torch_tensorrt(network: Any, image: NDArray[np.float32], device: str) -> Any:
    import torch
    import torch_tensorrt

    example = (torch.from_numpy(image).to(device).half(),)
    program = torch.export.export(network, example)
    return torch_tensorrt.dynamo.compile(program, arg_inputs=example, **typing_options(torch_tensorrt.__version__))


def _onnxruntime(path: Path, device: str) -> Run:
    import onnxruntime

    provider = f"{device.upper()}ExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise ValueError(f"this ONNX Runtime has no {provider} (pip install onnxruntime-gpu)")
    session = onnxruntime.InferenceSession(str(path), providers=[provider])
    name = session.get_inputs()[0].name
    return lambda batch: np.asarray(session.run(None, {name: batch})[0])


def _in_turn(
    contenders: dict[str, Run], image: NDArray[np.float32], seconds: float, least: int
) -> dict[str, list[float]]:
    """Milliseconds of each, one run of each in every round, and so many rounds at least."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    end = time.monotonic() + seconds * len(contenders)
    while contenders and (time.monotonic() < end or len(next(iter(times.values()))) < least):
        for name, run in contenders.items():
            start = time.perf_counter()
            run(image)
            times[name].append(1000.0 * (time.perf_counter() - start))
    return times


def _ratios(times: dict[str, list[float]]) -> dict[str, Any]:
    """Every contender's time over that of our fastest engine, with the interval of the rounds."""
    ours = [name for name in times if name.startswith(_OURS)]
    if not ours:
        return {}
    best = min(ours, key=lambda name: float(np.median(times[name])))
    found: dict[str, Any] = {"against": best}
    for name, series in times.items():
        if name != best:
            measured = ratio(np.asarray(series), np.asarray(times[best]))
            found[name] = {"ratio": measured.ratio, "ci95": list(measured.ci95)}
    return found


def _pixels_differing(source: Any, expected: NDArray[np.float32], output: NDArray[np.float32]) -> int:
    size = source.task.size
    return int(np.sum(source.task.labels(expected[0], size) != source.task.labels(output[0], size)))


if __name__ == "__main__":
    main()
