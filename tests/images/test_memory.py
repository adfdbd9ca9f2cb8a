"""Reading a volume takes the memory of a slice, however many slices it has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.volumes import write_nifti

READ = """
import resource, sys
from pathlib import Path
from edge.images.image_set import load_image_set
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
task = SegmentationTask(size=(64, 64), scale=1.0, intensity=Intensity(window=(50.0, 200.0)))
for sample in load_image_set(Path(sys.argv[1])):
    sample.pair(task)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_megabytes(root: Path, depth: int) -> float:
    folder = root / str(depth)
    for name, dtype in (("case", np.int16), ("mask", np.uint8)):
        write_nifti(folder / f"{name}.nii.gz", np.zeros((256, 256, depth), dtype), np.eye(4))
    (folder / "manifest.csv").write_text("image,mask,split\ncase.nii.gz,mask.nii.gz,test\n")
    run = subprocess.run([sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True)
    return int(run.stdout) / 1024


@pytest.mark.slow
def test_memory_is_flat_from_10_to_1000_slices(tmp_path: Path) -> None:
    assert peak_megabytes(tmp_path, 1000) - peak_megabytes(tmp_path, 10) < 50
