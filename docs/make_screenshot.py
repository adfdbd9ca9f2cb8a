"""Photographs the head of a report for the README, with Chromium and nothing else.

python docs/make_screenshot.py out/demo/report.html docs/images/report.png
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1180, 1060  # what a README shows without making its reader scroll past a page
COLOURS = 128  # a palette: flat colours and text lose nothing one can see, and the file a good half


def photograph(page: Path, picture: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Write a PNG of the top of a page as a browser shows it.

    Args:
        page: the ``.html``.
        picture: the ``.png`` to write.
        width, height: of the window, in CSS pixels; the picture has as many.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("error: no Chromium here; install one (apt-get install chromium)")
    with tempfile.TemporaryDirectory() as place:
        shot = Path(place) / "shot.png"
        subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={place}/profile", f"--window-size={width},{height}", f"--screenshot={shot}",
                page.resolve().as_uri(),
            ],
            check=True, capture_output=True, timeout=180,
        )  # fmt: skip
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.open(shot).convert("RGB").quantize(COLOURS).save(picture, optimize=True)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]))
