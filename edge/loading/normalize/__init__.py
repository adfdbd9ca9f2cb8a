"""Normalisation: a graph in whatever form exporters leave it becomes the one form that every stage works on.

Each step is a file of this package with a name, what it does, and a proof: both graphs run in ONNX Runtime on the same
image wherever the graph before the step runs. What changes the meaning of a file's numbers (layout, type, output) is
told to the user in a sentence; what changes only its form is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.errors import InputError
from edge.loading.normalize import (
    activation,
    axes,
    batch_norm,
    channels_last,
    circular_pads,
    class_indices,
    constants,
    fixed_size,
    float_types,
    gather_indices,
    ir_version,
    mask_queries,
    names,
    one_output,
    operator_set,
    operators,
    order,
    output_size,
    picture,
    pixel_input,
    pools,
    prelu_slopes,
    randomness,
    resizes,
    runtime_operators,
    shapes,
    unpooling,
    weight_inputs,
)
from edge.loading.normalize.proof import Prover
from edge.loading.normalize.step import Draft, Step

FORM: tuple[Step, ...] = (
    names.STEP,
    operators.STEP,
    order.STEP,
    ir_version.STEP,
    weight_inputs.STEP,
    constants.STEP,
    float_types.EARLY,
    runtime_operators.STEP,
    shapes.STEP,
)
"""Steps that need no task and change no meaning: every reader of a file takes them."""

MEANING: tuple[Step, ...] = (
    randomness.STEP,
    batch_norm.EARLY,
    axes.INPUT,
    channels_last.INPUT,
    pixel_input.STEP,
    fixed_size.STEP,
    operator_set.STEP,
    float_types.STEP,
    runtime_operators.STEP,
    batch_norm.STEP,
    unpooling.STEP,
    resizes.STEP,
    pools.STEP,
    circular_pads.STEP,
    prelu_slopes.STEP,
    gather_indices.STEP,
    mask_queries.STEP,
    one_output.STEP,
    picture.STEP,
    class_indices.STEP,
    axes.OUTPUT,
    channels_last.OUTPUT,
    activation.STEP,
    output_size.STEP,
)
"""Steps that need the task, in the order in which one needs the other."""


@dataclass(frozen=True)
class Normalized:
    """A draft after its steps.

    Attributes:
        draft: the graph and task to go on with.
        notes: one sentence for each step that the user should know of.
    """

    draft: Draft
    notes: tuple[str, ...]


def normalize(draft: Draft, steps: Sequence[Step]) -> Normalized:
    """Apply steps in order, each proven before the next.

    Raises:
        InputError: the graph cannot be used, or a step would change what it computes.
    """
    prover, notes = Prover(), list[str]()
    for step in steps:
        change = step.apply(draft)
        if change is None:
            continue
        difference = prover.difference(draft, change)
        if difference is not None and not difference <= change.tolerance:
            raise InputError(
                f"{draft.where}: normalising it ({step.name}) changes its output by {difference:.1e} of the largest "
                "value; export the model again with current versions"
            )
        if change.note:
            unproven = " (not proven: ONNX Runtime does not run the file as it is)" if difference is None else ""
            notes.append(change.note + unproven)
        draft = change.draft
    return Normalized(draft, tuple(notes))
