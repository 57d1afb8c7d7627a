"""Builds notebooks/*.ipynb from the scripts beside them, with the outputs of a real kernel in an empty directory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def build(directory: str) -> None:
    """Run the notebooks one after the other in a directory, and write them."""
    for script in sorted(NOTEBOOKS.glob("*.py")):
        notebook = jupytext.read(script)
        settings = {"record_timing": False, "coalesce_streams": True, "timeout": 600}
        NotebookClient(notebook, resources={"metadata": {"path": directory}}, **settings).execute()
        for number, cell in enumerate(notebook.cells):
            cell.id = f"cell-{number}"
        notebook.metadata = {name: notebook.metadata[name] for name in ("kernelspec", "language_info")}
        nbformat.write(notebook, script.with_suffix(".ipynb"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        build(place)
