"""How a deployment's time and memory grow with the network and with the images: ``python -m benchmarks.scale``.

Networks are encoder-decoders of one shape and growing width (1 to 60 million parameters) that really segment: a bright
disc is told from its ground by the first convolution, and everything behind it adds a little. Image sets hold 64 to
5 000 pictures. Each point is ``edge deploy`` in a process of its own, whose peak memory and processor time the system
tells. ``--swin SIZE`` adds MONAI's SwinUNETR. A point that the file has is not measured again. ``--plot`` draws all, on
logarithmic axes, where a straight line of slope 1 is linear growth.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edge.files import read_json, write_json
from edge.graph.model import Model
from edge.loading import load_model
from edge.machine.environment import environment
from edge.task.task import SegmentationTask

SCHEMA = "edge.scale/1"
STEPS = 4  # halvings of the size
_USAGE = (
    "import resource, subprocess, sys\n"
    "subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
    "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
    "print(used.ru_maxrss, used.ru_utime + used.ru_stime)"
)
SMALL = 1e-3  # of what is added to the disc's own evidence


@dataclass(frozen=True)
class Usage:
    """What a command took, with all that it started.

    Attributes:
        peak_bytes: most memory resident in one of the processes.
        processor_seconds: of all cores together, so hardly moved by what else the machine does.
    """

    peak_bytes: int
    processor_seconds: float


@dataclass(frozen=True)
class Point:
    """One deployment.

    Attributes:
        network: its name.
        parameters, nodes, images, size: of the network and the set.
        status: of the report; "" where the command failed.
        seconds: of the whole command.
        processor_seconds, peak_bytes: of :class:`Usage`.
        timings: seconds of each stage.
    """

    network: str
    parameters: int
    nodes: int
    images: int
    size: int
    status: str
    seconds: float
    processor_seconds: float
    peak_bytes: int
    timings: dict[str, float]


def network(width: int, size: int) -> Model:
    """An encoder-decoder: ``width`` channels at full size, twice as many at each of four halvings.

    Args:
        width: channels of the first convolution, two or more.
        size: height and width of the input.
    """
    rng, nodes, weights = np.random.default_rng(0), list[onnx.NodeProto](), list[onnx.TensorProto]()

    def add(kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], f"{kind}_{len(nodes)}", **attributes))
        return f"t{len(nodes) - 1}"

    def weight(values: Any) -> str:
        weights.append(numpy_helper.from_array(np.asarray(values), f"w{len(weights)}"))
        return f"w{len(weights) - 1}"

    def conv(x: str, inward: int, outward: int, stride: int = 1) -> str:
        kernel = rng.normal(0.0, (2.0 / (9 * inward)) ** 0.5, (outward, inward, 3, 3)).astype(np.float32)
        return add("Relu", [add("Conv", [x, weight(kernel)], pads=[1] * 4, strides=[stride] * 2)])

    widths = [width * 2**step for step in range(STEPS + 1)]
    maps = [conv("image", 3, width)]
    for inward, outward in pairwise(widths):
        maps.append(conv(conv(maps[-1], inward, outward, stride=2), outward, outward))
    x = maps[-1]
    for step in reversed(range(STEPS)):
        scales = weight(np.array([1, 1, 2, 2], np.float32))
        up = add("Resize", [x, "", scales], mode="nearest")
        x = conv(add("Concat", [up, maps[step]], axis=1), widths[step] + widths[step + 1], widths[step])
    little = add("Conv", [x, weight(rng.normal(0.0, SMALL, (1, width, 1, 1)).astype(np.float32))])
    bright = np.full((1, 3, 3, 3), 20 / 27, np.float32)
    evidence = add("Conv", ["image", weight(bright), weight(np.full(1, -10.0, np.float32))], pads=[1] * 4)
    nodes.append(helper.make_node("Add", [evidence, little], ["output"], "output/Add"))
    graph = helper.make_graph(
        nodes,
        f"scale-{width}",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, size, size])],
        weights,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    parameters = sum(int(np.prod(tensor.dims)) for tensor in weights)
    return Model(proto, SegmentationTask(size=(size, size)), graph.name, graph.name, {"parameters": parameters})


def swin(size: int) -> Model:
    """MONAI's SwinUNETR for two dimensions (a transformer's encoder), which adds a little to the disc's evidence.

    Args:
        size: height and width of the input, a multiple of 32.
    """
    import torch
    from monai.networks import nets

    class Segmenter(torch.nn.Module):
        """The disc's evidence as :func:`network` has it, and the transformer's share."""

        def __init__(self) -> None:
            super().__init__()
            self.evidence = torch.nn.Conv2d(3, 1, 3, padding=1)
            for values, filled in zip(self.evidence.parameters(), (20 / 27, -10.0), strict=True):
                torch.nn.init.constant_(values, filled)
            self.transformer = nets.SwinUNETR(in_channels=3, out_channels=1, feature_size=24, spatial_dims=2)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            """Logits."""
            return self.evidence(image) + SMALL * self.transformer(image)

    torch.manual_seed(0)
    module = Segmenter().eval()
    model = load_model(module, task=SegmentationTask(size=(size, size)))
    parameters = sum(p.numel() for p in module.parameters())
    return replace(model, name=f"swin-unetr-{size}", facts={"parameters": parameters})


def width_for(parameters: float) -> int:
    """The width that comes nearest to so many parameters; they grow with its square."""
    one = (network(16, 32).facts or {})["parameters"] / 16**2
    return max(2, round((parameters / one) ** 0.5))


def write_images(root: Path, count: int, size: int) -> None:
    """Bright discs on dark ground: half of them for training, the rest for validation and test."""
    rng, rows = np.random.default_rng(0), ["image,mask,split"]
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    y, x = np.ogrid[:size, :size]
    for index in range(count):
        (cy, cx), radius = rng.uniform(0.25, 0.75, 2) * size, rng.uniform(0.1, 0.25) * size
        mask = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
        pixels = np.where(mask[..., None], 190, 60) + rng.integers(-25, 25, (size, size, 3))
        split = ("train", "train", "val", "test")[index % 4]
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"images/{index:05}.png", compress_level=1)
        Image.fromarray((mask * 255).astype(np.uint8)).save(root / f"masks/{index:05}.png", compress_level=1)
        rows.append(f"images/{index:05}.png,masks/{index:05}.png,{split}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")


def measured(model: Model, data: Path, images: int, folder: Path, most_seconds: float) -> Point:
    """Deploy in a process of its own, and ask the system for its peak."""
    graph, run = model.save(folder / "network.onnx"), folder / "run"
    command = [
        sys.executable,
        "-c",
        "from edge.cli.app import main; main()",
        "deploy",
        str(graph),
        "--data",
        str(data),
        "--out",
        str(run),
        "--quiet",
    ]
    start = time.perf_counter()
    used = usage([*command, "--allow-small"])
    seconds = time.perf_counter() - start
    file = run / "report.json"
    report: Mapping[str, Any] = read_json(file) if file.is_file() else {"status": "", "timings": {}}
    parameters, nodes = (model.facts or {})["parameters"], len(model.proto.graph.node)
    if seconds > most_seconds:
        print(f"took {seconds:.0f} s, over the limit of {most_seconds:.0f} s", file=sys.stderr)
    return Point(
        network=model.name,
        parameters=parameters,
        nodes=nodes,
        images=images,
        size=model.task.size[0],
        status=report["status"],
        seconds=seconds,
        processor_seconds=used.processor_seconds,
        peak_bytes=used.peak_bytes,
        timings=dict(report["timings"]),
    )


def usage(command: Sequence[str]) -> Usage:
    """Run a command, and say what it took.

    Linux lets a program begin with the peak of whoever started it, so a small process stands between: it is its
    children's peak that is asked for.
    """
    line = [sys.executable, "-S", "-c", _USAGE, *command]
    peak, seconds = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return Usage(int(peak) * 1024, float(seconds))


def plot(points: Sequence[Point], path: Path) -> None:
    """Seconds and gigabytes over parameters, and over images, on logarithmic axes; a transformer is a star."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 7), sharey="row")
    plain = [p for p in points if p.network.startswith("scale-")]
    fewest, smallest = min(p.images for p in plain), min(p.parameters for p in plain)
    columns: tuple[tuple[str, Callable[[Point], bool], Callable[[Point], float]], ...] = (
        ("million parameters", lambda p: p.images == fewest, lambda p: p.parameters / 1e6),
        ("images", lambda p: p.parameters == smallest, lambda p: p.images),
    )
    rows: tuple[tuple[str, Callable[[Point], float]], ...] = (
        ("seconds", lambda p: p.seconds),
        ("peak memory, GB", lambda p: p.peak_bytes / 1e9),
    )
    for column, (across, chosen, x) in enumerate(columns):
        ordered, others = sorted(filter(chosen, plain), key=x), [p for p in points if p not in plain and chosen(p)]
        for row, (upward, y) in enumerate(rows):
            axis = axes[row][column]
            axis.loglog([x(p) for p in ordered], [y(p) for p in ordered], marker="o")
            for other in others:
                axis.loglog([x(other)], [y(other)], marker="*", markersize=12, label=f"{other.network}, {other.size}²")
            if others:
                axis.legend()
            axis.set_xlabel(across)
            axis.set_ylabel(upward)
            axis.grid(True, which="both", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=float, nargs="*", default=[1, 4, 16, 60], help="millions")
    parser.add_argument("--images", type=int, nargs="+", default=[64, 500, 5000])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--swin", type=int, nargs="*", default=[], metavar="SIZE", help="SwinUNETR too (needs monai)")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds of one deployment, told where exceeded")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/scale.json"))
    parser.add_argument("--plot", type=Path, help="SVG or PNG")
    arguments = parser.parse_args()
    points = _earlier(arguments.out)
    for model, images in _wanted(arguments):
        if any((p.network, p.size, p.images) == (model.name, model.task.size[0], images) for p in points):
            continue
        with TemporaryDirectory() as place:
            write_images(Path(place) / "set", images, model.task.size[0])
            points.append(measured(model, Path(place) / "set", images, Path(place), arguments.limit))
        found = points[-1]
        print(
            f"{found.network}: {found.parameters / 1e6:.1f} M parameters, {images} images: {found.seconds:.0f} s "
            f"({found.processor_seconds:.0f} of the processor), {found.peak_bytes / 1e9:.2f} GB, "
            f"{found.status or 'failed'}",
            flush=True,
        )
        table = [asdict(point) for point in points]
        write_json(arguments.out, {"schema": SCHEMA, "points": table, "environment": environment()})
    if arguments.plot:
        plot(points, arguments.plot)


def _wanted(arguments: argparse.Namespace) -> Iterator[tuple[Model, int]]:
    fewest = min(arguments.images)
    for millions in arguments.parameters:
        yield network(width_for(1e6 * millions), arguments.size), fewest
    if arguments.parameters:
        least = network(width_for(1e6 * min(arguments.parameters)), arguments.size)
        yield from ((least, images) for images in arguments.images if images != fewest)
    yield from ((swin(size), fewest) for size in arguments.swin)


def _earlier(path: Path) -> list[Point]:
    return [Point(**row) for row in read_json(path)["points"]] if path.is_file() else []


if __name__ == "__main__":
    main()
