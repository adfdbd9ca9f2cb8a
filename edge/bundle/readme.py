"""The README inside a bundle: three commands, and what they will do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.accuracy.gate import FEWEST_IMAGES
from edge.targets.target import Target

_TEXT = """# {title}

Everything to build, prove and time the fastest engine on this device. No network connection is needed.

```
tar xzf {file}            # into an empty folder, if you have not done so yet
python3 -m edge_bundle preflight
python3 -m edge_bundle verify{images_option}
```
{clocks}
Needs {needs}. `verify` builds each candidate ({candidates}), checks it {check}, times it, and
writes `run/report.json` with the fastest engine that passes gate {gate} under `run/engines/`. After a power cut, run it
again: it goes on where it was.

Exit codes: 0 an engine passes, 1 none does, 2 the bundle is damaged or an argument wrong, 3 this machine is not the
target or lacks something (one sentence says what).

On the workstation: `edge report RUN...` shows this run beside others.
{privacy}{runtime}"""
_PATIENTS = """
**This bundle carries images and masks.** Treat it as you treat the data they come from.
"""
_NO_IMAGES = """
This bundle carries no image, mask, or anything computed from one. Give it images of this device's own: a folder with
`images/`, and `masks/` of equal stems if there are any (8-bit `.npy`, `.pgm`, `.ppm`; other formats with Pillow).
Engines are then compared with the FP32 engine built here.
"""
_RUNTIME = """
`runtime/` holds the sources of the C++ runtime, which serves an engine without Python. With this machine's own
packages (`cmake`, a C++17 compiler, and the backend that built the engine):

```
cmake -B build && cmake --build build --parallel 2
build/segedge-run verify run/engines/NAME {reference}
```{witness}
"""
_WITNESS = """

`python3 -m edge_bundle verify --runtime build/segedge-run` asks it about every engine, and fails one on which the two
disagree."""
_CLOCKS = """
Before `verify`, set the power mode that the device will work in (`sudo nvpmodel -q --verbose` lists them) and hold its
clocks (`sudo jetson_clocks`): latencies are of that mode, which the report names.
"""
_NEEDS: Mapping[str, str] = {
    "jetson": "JetPack's own Python 3 with `tensorrt` and `numpy` (apt: `python3-libnvinfer python3-numpy`)",
    "tensorrt": "Python 3.8 or newer, `tensorrt` and `numpy`, and an NVIDIA driver",
    "tensorrt_rtx": "Python 3.8 or newer, `tensorrt-rtx` and `numpy`, and an NVIDIA driver",
    "arm_cpu": (
        "Python 3.9 or newer, `openvino` and `numpy`, and `onnxruntime` for INT8 "
        "(`pip install openvino=={openvino} numpy onnxruntime=={onnxruntime}`)"
    ),
    "openvino": "Python 3.9 or newer, `openvino` and `numpy` (`pip install openvino=={openvino} numpy`)",
}


def readme(title: str, target: Target, table: Mapping[str, Any], file: str, runtime: bool) -> str:
    """Markdown for ``README.md``.

    Args:
        title: of the bundle.
        target: the device.
        table: the manifest.
        file: name of the archive.
        runtime: whether the C++ sources are inside.
    """
    images = table["data"]["images"]
    small = " --allow-small" if 0 < images < FEWEST_IMAGES else ""
    return _TEXT.format(
        title=title,
        file=file,
        images_option=small if images else " --images FOLDER",
        clocks=_CLOCKS if target.kind == "jetson" else "",
        needs=_NEEDS["jetson" if target.kind == "jetson" else target.backend].format(
            openvino=table["versions"].get("openvino", ""),
            onnxruntime=table["versions"].get("onnxruntime", ""),
        ),
        candidates=", ".join(row["name"] for row in table["candidates"] if row["candidate"]),
        check=f"on {images} images with masks" if images else "against the FP32 engine on your images",
        gate=table["gate"].get("name", "none"),
        privacy=_PATIENTS if images else _NO_IMAGES,
        runtime=_runtime(bool(images)) if runtime else "",
    )


def _runtime(images: bool) -> str:
    """Without bundled images the reference is a folder of the reader's own (``runtime/README.md`` says of what)."""
    return _RUNTIME.format(reference="." if images else "REFERENCE", witness=_WITNESS if images else "")
