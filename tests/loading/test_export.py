"""Networks that an exporter stumbles over: attention, lazy imports, names of outputs, sizes that do not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.loading import load_model
from edge.loading.export import export, exporter_reason
from edge.task.noise import noise_batch
from edge.task.task import SegmentationTask

torch = pytest.importorskip("torch")
TASK = SegmentationTask(size=(16, 16))


class Attention(torch.nn.Module):
    """One head over pixels, with a mask of minus infinity, through PyTorch's fused operator."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.project = torch.nn.Conv2d(3, 24, 4, 4)
        self.head = torch.nn.Conv2d(8, 1, 1)
        mask = torch.zeros(16, 16)
        mask[:, 12:] = -torch.inf
        self.register_buffer("mask", mask)

    def forward(self, x: Any) -> Any:
        q, k, v = self.project(x).flatten(2).transpose(1, 2).chunk(3, -1)
        y = torch.nn.functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None], self.mask)
        return self.head(y[:, 0].transpose(1, 2).reshape(1, 8, 4, 4))


def test_attention_exports_and_its_small_map_is_enlarged() -> None:
    network = Attention().eval()
    model = export(network, TASK, "attention", "attention", {})
    image = noise_batch(TASK)
    wanted = torch.nn.functional.interpolate(network(torch.from_numpy(image)), (16, 16), mode="bilinear")
    np.testing.assert_allclose(reference(model).run(image), wanted.detach().numpy(), atol=1e-5)
    assert {n.domain for n in model.proto.graph.node} <= {""}
    assert len(model.notes) == 1 and "4 x 4 maps" in model.notes[0]


class Heads(torch.nn.Module):
    """A dictionary of maps, as torchvision's and Hugging Face's networks return."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, x: Any) -> dict[str, Any]:
        y = self.conv(x)
        return {"deep": torch.nn.functional.avg_pool2d(y, 2), "logits": y}


def test_outputs_keep_their_names_and_the_full_one_is_taken() -> None:
    model = export(Heads().eval(), TASK, "heads", "heads", {})
    assert model.output_name == "logits" and [o.name for o in model.proto.graph.output] == ["logits"]
    assert "of its outputs logits [1 x 1 x 16 x 16] is taken" in model.notes[0]


def test_a_size_that_does_not_run_is_told_with_the_next_that_does() -> None:
    network = torch.nn.Sequential(torch.nn.PixelUnshuffle(4), torch.nn.Conv2d(48, 16, 1), torch.nn.PixelShuffle(4))
    with pytest.raises(InputError, match=r"multiples of 4 \(18 -> 20\); set size = \[20, 16\]"):
        export(network.eval(), SegmentationTask(size=(18, 16)), "shuffle", "shuffle", {})


def test_the_exporters_own_summary_is_the_reason() -> None:
    text = (
        "\x1b[31mFailed to export\x1b[0m\n\n## Exception summary\n\n<class 'torch.Unsupported'>: no such operator\n(x)"
    )
    assert exporter_reason(RuntimeError(text)) == "torch.Unsupported: no such operator"
    assert exporter_reason(RuntimeError("\x1b[1mplain\x1b[0m words\nmore")) == "plain words"


def test_a_network_that_imports_only_when_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazyparts.py").write_text("from torch import nn\ndef head():\n    return nn.Conv2d(3, 1, 1)\n")
    (tmp_path / "lazynet.py").write_text("def build():\n    from lazyparts import head\n    return head()\n")
    (tmp_path / "task.toml").write_text("[task]\nsize = [16, 16]\n")
    torch.save(torch.nn.Conv2d(3, 1, 1).state_dict(), tmp_path / "w.pt")
    monkeypatch.chdir(tmp_path)
    model = load_model("lazynet:build", tmp_path / "w.pt", tmp_path / "task.toml")
    assert [n.op_type for n in model.proto.graph.node] == ["Conv"]
    onnx.checker.check_model(model.proto)


def test_a_network_of_named_channels_exports() -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(4, 1, 3, padding=1).eval()
    task = SegmentationTask(
        size=(16, 16),
        channels=("T1", "T2", "FLAIR", "DWI"),
        normalize="zscore",
        classes=("lesion",),
        activation="sigmoid",
    )
    model = load_model(network, task=task)
    image = noise_batch(task)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
    assert image.shape == (1, 4, 16, 16)
    np.testing.assert_allclose(reference(model).run(image), expected, atol=1e-5)
