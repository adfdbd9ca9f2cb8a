"""Calibration: run real images through the float graph and learn each tensor's range.

Memory does not depend on the number of images: each tensor has one histogram and one sample of fixed size, tensors are
fetched in groups of bounded size, and a few images at most are kept: :data:`TRIAL_IMAGES` for choosing between clips,
:data:`HELD_OUT` others for measuring what a step for each channel gains.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge.backends.onnxruntime import Intermediates
from edge.errors import InputError
from edge.graph.groups import in_groups
from edge.graph.macs import static_shapes
from edge.graph.model import MULTIPLIES, Model
from edge.quantization.channels import ChannelSamples, fitted_divisors, reached_divisors
from edge.quantization.clip_sets import LEAST_SQUARES, better_clips
from edge.quantization.clip_trials import Trial, best_clips
from edge.quantization.clipping import METHODS, mse
from edge.quantization.graph import channel_axes, quantizable
from edge.quantization.grid import Grid, GridKind, grid_for
from edge.quantization.grid_kinds import steps_in_use
from edge.quantization.histogram import Histogram
from edge.quantization.output_error import OutputError
from edge.quantization.ranges import COARSE, FINE, Clip, Convergence, Ranges, TensorRange
from edge.quantization.refine import drop_what_does_not_help
from edge.quantization.schemes import Scheme

Array = NDArray[np.float32]
Divisors = Callable[[Grid], tuple[float, ...]]
"""Of a tensor's channels on a grid."""

TRIAL_IMAGES = 10
"""At most; of 64 images 7. With 4 the choice is a matter of luck: which kinds of image are among them."""
HELD_OUT = 8
_HELD_EVERY = 8
_GROUP_BYTES = 512 << 20  # each further group runs the network again
_UNKNOWN_BYTES = 32 << 20


def calibrate(
    model: Model,
    inputs: Iterable[Array],
    tensors: Sequence[str] | None = None,
    method: str | None = None,
    advance: Callable[[], object] | None = None,
    scheme: Scheme | None = None,
) -> Ranges:
    """Learn the range of every tensor that a quantized graph may round.

    Args:
        model: float graph.
        inputs: images, each ``[1, channels, height, width]`` float32; read once, one at a time.
        tensors: names to calibrate; None takes every computed operand of a convolution or matrix product.
        method: one of :data:`~edge.quantization.clipping.METHODS` for all tensors; None lets each tensor have the one
            that disturbs its consumers' outputs least, or all of them least squares where that disturbs the network's
            output less (with ``scheme``).
        advance: called after each image (progress).
        scheme: of the compiler that will run the graph: methods are tried on the grid that each tensor gets there (the
            other is clipped by least squares), and channels get steps of their own where images that did not take part
            in choosing them show less error at the output. None tries both grids and gives each tensor one step.

    Returns:
        Ranges, the same for the same images in the same order.

    Raises:
        InputError: no images, an unknown method, or activations that are not finite.
    """
    if method is not None and method not in METHODS:
        raise InputError(f"calibration method {method!r} is unknown; known are {', '.join(METHODS)}")
    names = quantizable(model, MULTIPLIES) if tensors is None else list(dict.fromkeys(tensors))
    histograms = {name: Histogram() for name in names}
    axes = channel_axes(model) if scheme is not None else {}
    samples = {name: ChannelSamples(axes[name]) for name in names if name in axes}
    probes = _probes(model, names)
    kept, held, snapshots, images = _Spread(TRIAL_IMAGES), _Spread(HELD_OUT), _Snapshots(), 0
    for image in inputs:
        images += 1
        is_held = scheme is not None and images % _HELD_EVERY == 0
        for probe in probes:
            values = probe.run(image)
            _update(histograms, values, images)
            for name in values.keys() & samples.keys() if not is_held else ():
                samples[name].offer(values[name])
        (held if is_held else kept).offer(image)
        snapshots.take(images, histograms)
        if advance is not None:
            advance()
    if not images:
        raise InputError("calibration: no images; add some to the train split")
    convergence = snapshots.finish(images, histograms)
    ranges = {name: _tensor_range(histogram, method or LEAST_SQUARES) for name, histogram in histograms.items()}
    learned = Ranges(ranges, images, model.sha256, convergence)
    if method is None:
        used = None if scheme is None else steps_in_use(model, learned, scheme)
        learned = _with_tried_clips(model, learned, used, kept.images)
    if scheme is None or not held.images:
        return learned
    output = OutputError(model, scheme, held.images)
    learned = better_clips(learned, output) if method is None else learned
    fitted = {name: partial(fitted_divisors, sample.values()) for name, sample in samples.items()}
    reached = {name: partial(reached_divisors, sample.extremes) for name, sample in samples.items()}
    return drop_what_does_not_help([_with_steps(learned, divisors) for divisors in (fitted, reached)], output)


def _with_steps(ranges: Ranges, divisors: Mapping[str, Divisors]) -> Ranges:
    """The same with a magnitude for each channel of these tensors, on either grid."""
    tensors = {name: _per_channel(ranges[name], chosen) for name, chosen in divisors.items()}
    return replace(ranges, tensors={**ranges.tensors, **tensors})


def _per_channel(found: TensorRange, divisors: Divisors) -> TensorRange:
    def stepped(clip: Clip, kind: GridKind) -> Clip:
        if not clip.amax > 0:
            return clip
        return replace(clip, channels=divisors(grid_for(kind, found.low, found.high, clip.amax)))

    return replace(found, coarse=stepped(found.coarse, "int8"), fine=stepped(found.fine, "uint8-range"))


def _with_tried_clips(model: Model, ranges: Ranges, used: Mapping[str, int] | None, images: Sequence[Array]) -> Ranges:
    """Each tensor clipped as serves its readers best, on the grid that it gets; on the other as it is.

    Args:
        used: tensor to the steps of its grid; None tries both grids of every tensor.
    """
    trials = [
        Trial(name, steps, found.low, found.high, found.clip(steps).candidates)
        for name, found in ranges.tensors.items()
        for steps in (COARSE, FINE)
        if found.clip(steps).candidates and (used is None or used.get(name) == steps)
    ]
    tensors = dict(ranges.tensors)
    for trial, method in zip(trials, best_clips(model, trials, images), strict=True):
        found = tensors[trial.tensor]
        tensors[trial.tensor] = found.with_clip(trial.steps, found.clip(trial.steps).by(method))
    return replace(ranges, tensors=tensors)


def _tensor_range(histogram: Histogram, method: str) -> TensorRange:
    """What was seen of a tensor, clipped where a method proposes."""
    coarse, fine = (_clip(histogram, steps, method) for steps in (COARSE, FINE))
    total = histogram.total
    return TensorRange(histogram.low, histogram.high, total, histogram.zeros / total, coarse, fine)


def _clip(histogram: Histogram, steps: int, method: str) -> Clip:
    if not histogram.amax > 0:
        return Clip(0.0, "min-max")
    proposals = {name: propose(histogram, steps) for name, propose in METHODS.items()}
    return Clip(proposals[method], method, proposals)


def _update(histograms: Mapping[str, Histogram], values: Mapping[str, Array], images: int) -> None:
    for name, value in values.items():
        try:
            histograms[name].update(value)
        except ValueError:
            raise InputError(
                f"calibration: tensor {name!r} is NaN or infinite on image {images}; check the weights and the task"
            ) from None


def _probes(model: Model, names: Sequence[str]) -> list[Intermediates]:
    """Of tensors that are fetched together, so that what is held at once stays under :data:`_GROUP_BYTES`."""
    shapes = static_shapes(model.proto)
    sizes = ((name, 4 * math.prod(shapes[name]) if name in shapes else _UNKNOWN_BYTES) for name in names)
    return [Intermediates(model, group) for group in in_groups(sizes, _GROUP_BYTES)]


class _Spread:
    """Keeps a few of many images, evenly spaced, without knowing how many will come."""

    def __init__(self, most: int) -> None:
        self.images: list[Array] = []
        self._most, self._step, self._seen = most, 1, 0

    def offer(self, image: Array) -> None:
        if self._seen % self._step == 0:
            if len(self.images) == self._most:
                self.images = self.images[::2]
                self._step *= 2
            if self._seen % self._step == 0:
                self.images.append(np.array(image))
        self._seen += 1


class _Snapshots:
    """Least-squares clips of every tensor after 1, 2, 4, 8, ... images."""

    def __init__(self) -> None:
        self._at: list[int] = []
        self._clips: list[NDArray[np.float64]] = []

    def take(self, images: int, histograms: Mapping[str, Histogram]) -> None:
        if images & (images - 1) == 0:
            self._record(images, histograms)

    def finish(self, images: int, histograms: Mapping[str, Histogram]) -> Convergence:
        if self._at[-1] != images:
            self._record(images, histograms)
        final = np.maximum(self._clips[-1], np.finfo(np.float64).tiny)
        differences = [np.abs(clips - final) / final for clips in self._clips]
        return Convergence(
            tuple(self._at),
            tuple(float(np.median(d)) if d.size else 0.0 for d in differences),
            tuple(float(d.max(initial=0.0)) for d in differences),
        )

    def _record(self, images: int, histograms: Mapping[str, Histogram]) -> None:
        self._at.append(images)
        self._clips.append(np.array([mse(h, COARSE) if h.amax > 0 else 0.0 for h in histograms.values()]))
