"""The command that takes the README's pictures: what it is called with, and those that need no browser."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "docs" / "take_pictures.py"


def test_it_says_what_it_takes_and_contributors_are_told_so() -> None:
    done = subprocess.run([sys.executable, COMMAND, "a", "b"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the following arguments are required: seeds" in done.stderr
    assert "python docs/take_pictures.py RUN SWEEP SEEDS" in (ROOT / "CONTRIBUTING.md").read_text()


def test_every_picture_of_the_repository_is_taken_by_it() -> None:
    text = COMMAND.read_text()
    there = {path.name for path in (ROOT / "docs" / "images").glob("*.png")}
    module = runpy.run_path(str(COMMAND))
    pages = {f"report_{name}.png" for name in module["HEIGHTS"]}
    assert [name for name in there - pages if f'"{name}"' not in text] == []
