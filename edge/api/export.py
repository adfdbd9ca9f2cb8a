"""Export a run for another tool."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Union

from edge.api.checked import checked
from edge.api.options import Argument, Option, PathLike
from edge.api.progress import Listener, Reporter
from edge.errors import InputError

if TYPE_CHECKING:
    from edge.api.run import Run

FORMS = ("triton", "model-card")


@checked
def export(
    form: Annotated[str, Argument("FORM", "triton or model-card")],
    run: Annotated[Union[str, Path, "Run"], Argument("RUN", "run folder of edge deploy")],
    out: Annotated[PathLike, Option("model repository, or the card's README.md", "PATH")],
    name: Annotated[str | None, Option("of the model in the server (default: the network's)", "NAME")] = None,
    reference: Annotated[bool, Option("serve the float network in place of the chosen engine")] = False,
    progress: Listener | None = None,
) -> Path:
    """What other tools take of a run: a model repository for Triton, or a model card in Hugging Face's format.

    Example: edge export triton runs/unet --out models-served

    Args:
        form: ``triton`` or ``model-card``.
        run: run folder, or the run itself.
        out: Triton's model repository, in which other models stay; or the file of the card.
        name: of the model in the repository.
        reference: the float network, for Triton's ONNX Runtime backend.
        progress: called with every event.

    Returns:
        The model's folder, or the card.

    Raises:
        InputError: no such form, no sound run, or an engine that the tool cannot take.
        MachineError: the disk is full or the folder is not writable.
    """
    from edge.api.given import as_path, engine_folder
    from edge.api.run import Run
    from edge.report.store import read_report

    if form not in FORMS:
        raise InputError(f"{form}: is no form of export; give {' or '.join(FORMS)}")
    folder = run.folder if isinstance(run, Run) else as_path("run", run)
    report, target = read_report(folder), as_path("out", out)
    Reporter(progress, ("export",)).stage("export")
    if form == "model-card":
        from edge.handover.model_card import write_card

        return write_card(report, target)
    from edge.backends.engine import read_engine
    from edge.graph.model import read_model
    from edge.handover.triton import serve_engine, serve_float, write_repository

    graph = folder / "source.onnx"
    served = serve_float(graph) if reference else serve_engine(read_engine(engine_folder("run", folder)))
    return write_repository(served, read_model(graph), name or report.model.name, target)
