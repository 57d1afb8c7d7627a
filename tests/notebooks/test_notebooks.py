"""Every notebook runs from top to bottom with a real kernel, in a directory where nothing was trained before."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parents[2] / "notebooks"
SCRIPTS = sorted(HERE.glob("*.py"))


def run_notebook(name: str, directory: Path) -> list[dict[str, Any]]:
    """Run a notebook of the checkout in a directory; return what its cells show, by MIME type."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(directory)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.data for output in outputs if output.output_type in ("execute_result", "display_data")]


def texts(shown: list[dict[str, Any]]) -> str:
    return "\n".join(data.get("text/plain", "") for data in shown)


def pages(shown: list[dict[str, Any]]) -> list[str]:
    return [data.get("text/html", "") for data in shown]


def tables(shown: list[dict[str, Any]]) -> list[int]:
    """Return how many rows each table has that is shown."""
    return [html.count("<tr") for html in pages(shown) if "<table" in html]


def pictures(shown: list[dict[str, Any]]) -> int:
    return sum("image/png" in data for data in shown)


def test_the_best_model_of_a_run_is_reloaded_and_its_mistakes_are_looked_at(tmp_path):
    shown = run_notebook("01_reload_best", tmp_path)
    assert "MLPClassifier" in texts(shown)
    assert "are wrong, an accuracy of 0.9" in texts(shown)
    assert pictures(shown) == 2
    assert any("<td" in html and "give the same score bit for bit" in html for html in pages(shown))
    assert (tmp_path / "outputs" / "runs" / "digits" / "run.json").is_file()


def test_a_sweep_is_read_and_a_patience_is_chosen_by_replay(tmp_path):
    read = run_notebook("02_read_sweep", tmp_path)
    assert pictures(read) == 3
    assert tables(read) == [10, 9, 8], "eight jobs below two lines of head, eight means, the facts of the best run"
    sweep = tmp_path / "outputs" / "sweeps" / "patience_min_delta"
    assert len(list(sweep.glob("[0-9]*/run.json"))) == 48
    records = {path: path.read_bytes() for path in sweep.rglob("run.json")}

    chosen = run_notebook("03_choose_patience", tmp_path)
    assert "48 jobs, all equal" in texts(chosen)
    assert pictures(chosen) == 1
    assert {path: path.read_bytes() for path in sweep.rglob("run.json")} == records, "nothing was trained again"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_is_what_its_script_says_with_real_outputs_and_no_path_of_a_machine(script):
    import jupytext
    import nbformat

    content = script.with_suffix(".ipynb").read_text()
    built, source = nbformat.reads(content, as_version=4), jupytext.read(script)
    assert [(cell.cell_type, cell.source) for cell in built.cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ], "make notebooks builds it anew"
    outputs = [output for cell in built.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert script.stem == "01_reload_best" or "48 jobs" in content
    assert not re.search(r"""[" '(>]/(?:home|root|tmp|work|mnt|Users|private|var)/""", content)


def test_each_notebook_has_its_script():
    assert [path.stem for path in SCRIPTS] == sorted(path.stem for path in HERE.glob("*.ipynb"))
    assert len(SCRIPTS) == 3
