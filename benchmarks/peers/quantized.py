"""The INT8 graphs of the peers, each in the worker's folder; an earlier run's is taken where that is asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.setting import Setting
from edge.files import sha256_file


def by_onnxruntime(setting: Setting) -> Path:
    """ONNX Runtime's static quantization, as it advises for x86 with VNNI: U8S8, per channel."""

    def make(path: Path) -> None:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        class Reader(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                name = _input_name(setting.source)
                self.rows = iter([{name: image[None]} for image in np.load(setting.calibration)])

            def get_next(self) -> Any:
                return next(self.rows, None)

        prepared = setting.scratch / "prepared.onnx"
        # Shapes are static, and the symbolic inference dies on operators that it does not know.
        quant_pre_process(str(setting.source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )

    return _kept(setting, "int8.onnx", make)


def by_nncf(setting: Setting, preset: str) -> Path:
    """NNCF's post-training quantization by one of its presets."""

    def make(path: Path) -> None:
        from benchmarks.peers.quantize_nncf import main

        main(str(setting.source), str(setting.calibration), str(path), preset)

    return _kept(setting, "nncf.xml", make)


def under_control(setting: Setting) -> Path:
    """NNCF with accuracy control, by our own yardstick."""

    def make(path: Path) -> None:
        import nncf
        import openvino

        from benchmarks.peers.accuracy import EVALUATIONS, validation

        validate, samples = validation(setting.source, setting.data, setting.scratch / EVALUATIONS)
        made = nncf.quantize_with_accuracy_control(
            openvino.Core().read_model(setting.source),
            calibration_dataset=_nncf_dataset(setting),
            validation_dataset=nncf.Dataset(samples),
            validation_fn=validate,
            max_drop=0.001,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(np.load(setting.calibration)),
        )
        openvino.save_model(made, path, compress_to_fp16=False)

    return _kept(setting, "nncf.xml", make)


def elsewhere(setting: Setting, name: str, suffix: str = "onnx", variant: str = "") -> Path:
    """The graph that ``quantize_NAME.py`` makes under the Python given for it.

    Args:
        suffix: of its file.
        variant: the script's last argument, "" for none.

    Raises:
        RuntimeError: no such Python was given, or the script failed.
    """
    python = setting.pythons.get(name, "")
    if setting.make and not python:
        needs = f"benchmarks/peers/requirements-{name}.txt"
        raise RuntimeError(f"needs an environment with {needs}; name it with --python {name}=PATH")

    def make(path: Path) -> None:
        script = Path(__file__).with_name(f"quantize_{name}.py")
        command = [
            python,
            str(script),
            str(setting.source),
            str(setting.calibration),
            str(path),
            *filter(None, [variant]),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")

    return _kept(setting, f"{name}{variant and f'-{variant}'}.{suffix}", make)


def _kept(setting: Setting, name: str, make: Callable[[Path], None]) -> Path:
    """A file in the worker's folder: made now, or an earlier run's of the same source and images.

    Raises:
        RuntimeError: there is none, and the setting wants none made.
    """
    path = setting.scratch / name
    stamp = path.with_suffix(".of")
    inputs = (setting.source, setting.calibration)
    files = [sha256_file(file) for file in inputs if file.is_file()]
    if not (setting.reuse and stamp.is_file() and stamp.read_text(encoding="utf-8").split() == files):
        if not setting.make:
            raise RuntimeError(f"no {name} of this network; python -m benchmarks.peers makes it")
        stamp.unlink(missing_ok=True)
        make(path)
        stamp.write_text("\n".join(files), encoding="utf-8")
    return path


def _nncf_dataset(setting: Setting) -> Any:
    import nncf

    return nncf.Dataset([image[None] for image in np.load(setting.calibration)])


def _input_name(path: Path) -> str:
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    return next(value.name for value in graph.input if value.name not in weights)
