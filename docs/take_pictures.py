"""Takes the pictures in docs/images: `python docs/take_pictures.py RUN SWEEP SEEDS`; those of pages with Chromium."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
HEIGHTS = {"run": 1424, "sweep": 1604}
SCHEMES = {"run": "dark", "sweep": "light"}


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description="Take the pictures of the README.")
    parser.add_argument("run", help="a run: report_run.png")
    parser.add_argument("sweep", help="a sweep over patience and min_delta: report_sweep.png, sweep_heatmap.png")
    parser.add_argument("seeds", help="a sweep over seeds as well: sweep_curves.png, replay_front.png")
    parser.add_argument(
        "--images", type=Path, default=IMAGES, metavar="DIRECTORY", help="where to (default: %(default)s)"
    )
    options = parser.parse_args()
    draw(options.sweep, options.seeds, options.images)
    take(options.run, options.sweep, options.images)


def draw(sweep: str, seeds: str, images: Path) -> None:
    """Write sweep_heatmap.png, sweep_curves.png and replay_front.png."""
    import keepbest

    keepbest.open_sweep(sweep).heatmap("patience", "min_delta").savefig(images / "sweep_heatmap.png")
    keepbest.open_sweep(seeds).curves().savefig(images / "sweep_curves.png")
    replay = keepbest.replay(seeds, min_delta=[0, 1e-4, 1e-3, 1e-2])
    replay.plot(images / "replay_front.png", max_regret=0.002)


def take(run: str, sweep: str, images: Path) -> None:
    """Write report_run.png and report_sweep.png."""
    from playwright.sync_api import sync_playwright

    from keepbest.cli.report import main as report

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as place:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, directory in (("run", run), ("sweep", sweep)):
            page_file = Path(place, f"{name}.html")
            if report([directory, "--output", str(page_file)]):
                sys.exit(1)
            size = {"width": 1200, "height": HEIGHTS[name]}
            page = browser.new_page(viewport=size, color_scheme=SCHEMES[name])
            page.goto(page_file.as_uri())
            page.screenshot(path=images / f"report_{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
