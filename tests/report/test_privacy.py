"""A report without names: images are numbered, and nothing else in its sentences changes."""

from __future__ import annotations

from dataclasses import replace

from edge.report.privacy import without_names
from tests.fixtures.report_example import example


def test_only_the_names_of_images_are_replaced() -> None:
    report = example().report
    assert report.images is not None
    names = tuple(str(number) for number in range(len(report.images.names)))
    row = report.engines[0]
    reason = "image 2 loses 0.0712 Dice, more than 0.05 allowed"
    report = replace(
        report,
        images=replace(report.images, names=names),
        engines=(replace(row, accuracy=None, gate=replace(row.gate, reasons=(reason,))),),
        notes=("search: fp32: 12 groups in INT8, 5.2 dB: image slice 7 of ward 3 loses 0.0712 Dice",),
    )
    shown = without_names(report)
    assert shown.images is not None and shown.images.names[:2] == ("image 1", "image 2")
    assert shown.engines[0].gate.reasons == ("image 3 loses 0.0712 Dice, more than 0.05 allowed",)
    # The search judges on other images, which have no number in the report.
    assert shown.notes == ("search: fp32: 12 groups in INT8, 5.2 dB: an image loses 0.0712 Dice",)
