"""Candidates of a graph that came quantized: the author's INT8 as it is, and why nothing else can be had of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge.backends.engine import Candidate
from edge.errors import InputError
from edge.graph.model import Model
from edge.loading.quantized import on_products
from edge.quantization.ranges import NO_RANGES
from edge.search.bench import Bench, CandidateSet, Refusal
from edge.search.dialect import GraphRequest
from edge.search.plain_candidates import float_rests

QUANTIZED = "the graph is quantized already and has no such precision; --dequantize strips it back to float"


def only_authored(bench: Bench, model: Model, precisions: Sequence[str]) -> CandidateSet:
    """For a quantized model: INT8 as its author wrote it, over each float precision asked for."""
    others = tuple(Refusal(name, name, QUANTIZED) for name in precisions if name != "int8")
    if "int8" not in precisions:
        return CandidateSet((), others)
    found = _written(bench, model, "int8", precisions)
    return CandidateSet(found.candidates, (*found.refusals, *others))


def with_authored(found: CandidateSet, bench: Bench, model: Model, precisions: Sequence[str]) -> CandidateSet:
    """For a stripped model: the author's INT8 beside ours."""
    if model.author is None or "int8" not in precisions:
        return found
    more = _written(bench, replace(model.author, name=model.name), "int8-author", precisions)
    return CandidateSet((*found.candidates, *more.candidates), (*found.refusals, *more.refusals))


def float_graph(graph: Model, model: Model, fused: Model) -> Model:
    """The float graph that a quantized one computes, layer by layer: ours are written from the model as it was fused.

    Args:
        graph: quantized; the author's own has no author beside it.
        model: as it was loaded, stripped or not.
        fused: the same after its rewrites, which may fill channels up or move values to other tensors.
    """
    return fused if (graph.author is None) == (model.author is None) else model


def _written(bench: Bench, model: Model, stem: str, precisions: Sequence[str]) -> CandidateSet:
    if reason := bench.refusal("int8"):
        return CandidateSet((), (Refusal(stem, "int8", reason),))
    made: list[Candidate] = []
    refusals: list[Refusal] = []
    for rest in float_rests(bench.dialect, bench.refusal, precisions):
        name = stem if rest == "fp32" else f"{stem}-{rest}"
        try:
            made.append(bench.dialect.write(GraphRequest(name, "int8", rest, on_products(model), NO_RANGES)))
        except InputError as error:
            refusals.append(Refusal(name, "int8", str(error)))
    return CandidateSet(tuple(made), tuple(refusals))
