"""Verify a bundle on the device that it was packed for."""

from typing import Annotated

from edge.api.checked import checked
from edge.api.options import Argument, OnOption, Option, PathLike, SecondsOption, SmallOption, TrustedOption
from edge.api.progress import Listener, Reporter
from edge.api.run import Run


@checked
def verify(
    bundle: Annotated[PathLike, Argument("BUNDLE", "archive, or the folder it was unpacked into")],
    out: Annotated[PathLike | None, Option("run folder (default runs/NAME-verified)", "RUN")] = None,
    seconds: SecondsOption = 10.0,
    images: Annotated[PathLike | None, Option("check on these, not on the bundle's", "DIR")] = None,
    runtime: Annotated[PathLike | None, Option("prove it in this segedge-run too", "FILE")] = None,
    allow_small: SmallOption = False,
    trusted_key: TrustedOption = (),
    on: OnOption = None,
    progress: Listener | None = None,
) -> Run:
    """On the device: preflight, build, check, profile, and the fastest engine that passes.

    Example: edge verify runs/unet.tar.gz --out runs/unet-verified --seconds 1

    Args:
        bundle: from :func:`edge.bundle`.
        out: run folder.
        seconds: of timing for each engine.
        images: folder with this device's own images.
        runtime: a ``segedge-run`` built here, to prove every engine through it as well.
        allow_small: judge on fewer than 20 images.
        trusted_key: public keys; with one here or in ``~/.config/segedge/trusted_keys`` nothing else is taken.
        on: a board to do it on over SSH, ``user@host[:port]``; None is this machine.
        progress: called with every event.

    Raises:
        InputError: the bundle is not signed by a trusted key, damaged, hostile or of a newer schema.
        MachineError: this machine is not the target, or lacks something.
    """
    from edge.api.given import as_address, as_optional_path, as_path, as_paths
    from edge.pipeline.verify import verify as verify_bundle
    from edge.trust.signature import vouched

    reporter = Reporter(progress, ("verify",))
    reporter.stage("verify")
    path = as_path("bundle", bundle)
    who = vouched(path, as_paths("trusted_key", trusted_key) if trusted_key else ())
    report, folder = verify_bundle(
        path,
        as_optional_path("out", out),
        seconds=seconds,
        images=as_optional_path("images", images),
        allow_small=allow_small,
        runtime=as_optional_path("runtime", runtime),
        signed=who.files.get("manifest.json"),
        on=as_address(on),
        say=reporter.detail,
    )
    reporter.say(who.says)
    return Run(report, folder)
