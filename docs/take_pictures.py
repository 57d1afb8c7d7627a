"""Takes the pictures in docs/images: `python docs/take_pictures.py RUN SWEEP SEEDS`, with Chromium.

SEEDS is a sweep over seeds, of which the curves and the front are drawn. The heat map is not among them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import keepbest
from keepbest.cli.report import main

IMAGES = Path(__file__).parent / "images"
HEIGHTS = {"run": 1424, "sweep": 1604}
SCHEMES = {"run": "dark", "sweep": "light"}


def take(run: str, sweep: str, seeds: str) -> None:
    """Write report_run.png, report_sweep.png, sweep_curves.png and replay_front.png."""
    keepbest.open_sweep(seeds).curves().savefig(IMAGES / "sweep_curves.png")
    replay = keepbest.replay(seeds, min_delta=[0, 1e-4, 1e-3, 1e-2])
    replay.plot(IMAGES / "replay_front.png", max_regret=0.002)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as place:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, directory in (("run", run), ("sweep", sweep)):
            page_file = Path(place, f"{name}.html")
            if main([directory, "--output", str(page_file)]):
                sys.exit(1)
            size = {"width": 1200, "height": HEIGHTS[name]}
            page = browser.new_page(viewport=size, color_scheme=SCHEMES[name])
            page.goto(page_file.as_uri())
            page.screenshot(path=IMAGES / f"report_{name}.png")
        browser.close()


if __name__ == "__main__":
    take(*sys.argv[1:])
