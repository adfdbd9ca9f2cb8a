"""A run folder made by the real pipeline: a tiny U-Net on tiny pictures, in seconds."""

import pytest

from tests.fixtures.bundle_example import picture_set, tiny_unet

REWRITES = ("concat-conv-as-sum", "nearest-upsample-conv")


@pytest.fixture(scope="session")
def cpu_run(tmp_path_factory):
    """What ``edge deploy`` leaves for the CPU target: fp32 and int8 engines."""
    from edge.fusion import fuse
    from edge.pipeline.deploy import run_deploy
    from edge.pipeline.progress import NullProgress
    from edge.pipeline.session import Request

    root = tmp_path_factory.mktemp("workstation")
    model = tiny_unet().save(root / "tiny.onnx")
    data = picture_set(root / "set")
    request = Request(
        model=str(model),
        data=data,
        precisions=("fp32", "int8"),
        gate="99",
        out=root / "run",
        latency_seconds=0.05,
        calibration_images=16,
        threads=1,
        command=f"edge deploy {model} --data {data} --gate 99",
    )
    with pytest.MonkeyPatch.context() as patch:
        # Which are fastest differs from run to run, and with them whether INT8 changes a pixel: with these it does.
        patch.setattr(
            "edge.pipeline.deploy.fuse_for_target", lambda model, target, proof, *_: fuse(model, REWRITES, proof)
        )
        _, out = run_deploy(request, NullProgress())
    return out
