"""Reports: result dataclasses to JSON, HTML and Markdown.

``results`` holds the dataclasses, ``store`` reads them back, ``write`` makes the files. Templates and plots load
only when something is written.
"""

from edge.report.details import Picture, best_pictures, image_scores, quantiles, worst_pictures
from edge.report.results import Report
from edge.report.store import read_report
from edge.report.write import merge_reports, write_merged, write_report

__all__ = [
    "Picture",
    "Report",
    "best_pictures",
    "image_scores",
    "merge_reports",
    "quantiles",
    "read_report",
    "worst_pictures",
    "write_merged",
    "write_report",
]

from edge import make_callable

make_callable(__name__)
