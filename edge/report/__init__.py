"""Reports: result dataclasses to JSON, HTML and Markdown.

``results`` holds the dataclasses, ``store`` reads them back, ``write`` makes the files. Templates and plots load
only when something is written.
"""

from edge import make_callable

make_callable(__name__)
