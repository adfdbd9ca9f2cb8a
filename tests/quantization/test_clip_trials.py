"""The clip that serves a tensor best is the one whose errors reach the network's output."""

from __future__ import annotations

import numpy as np

from edge.quantization.clip_trials import NEIGHBOURS, Trial, best_clips
from tests.fixtures.graph_builder import Builder


def test_errors_that_neighbours_share_count_more_than_errors_that_cancel() -> None:
    # On steps of 1 a background of 8.4 errs by 0.4 everywhere; on steps of 1.2 the texture of 9.1 and 8.9 errs by 0.5
    # and -0.5 in turn, which is more (0.125 against 0.085 per element) and is gone in any mean over neighbours.
    side = 4 * NEIGHBOURS
    image = np.full((1, 3, side, side), 8.4, np.float32)
    rows, columns = np.indices((side, side // 2))
    image[..., side // 2 :] = np.where((rows + columns) % 2, 9.1, 8.9)
    assert _errors(image, 1.0) < _errors(image, 1.2)
    builder = Builder(3, side)
    model = builder.model(builder.op("Conv", "x", builder.weight(np.ones((1, 3, 1, 1)))))
    trial = Trial("x", 255, 0.0, 400.0, {"fine": 255.0, "coarse": 306.0})
    assert best_clips(model, [trial], [image]) == ["coarse"]
    assert best_clips(model, [trial], [np.rint(image)]) == ["fine"]


def test_readers_count_alike_however_large_their_outputs_are() -> None:
    # Clipped at 9, the reader of the first channel errs by a tenth everywhere, and the other one's values are levels.
    # Clipped at 10, the first has no error, and the other, of one position only, errs by 3 %.
    side = 2 * NEIGHBOURS
    image = np.full((1, 3, side, side), 10.0, np.float32)
    image[:, 1] = 8 * 9.0 / 127
    builder = Builder(3, side)
    first, second = (builder.weight(np.eye(3)[channel : channel + 1, :, None, None]) for channel in (0, 1))
    wide = builder.op("Conv", "x", first)
    narrow = builder.op("Conv", "x", second, strides=[side, side])
    model = builder.model(builder.op("Add", wide, narrow))
    trial = Trial("x", 127, 0.0, 10.0, {"tight": 9.0, "wide": 10.0})
    assert best_clips(model, [trial], [image]) == ["wide"]


def _errors(image: np.ndarray, step: float) -> float:
    return float(np.square(np.rint(image / step) * step - image).mean())
