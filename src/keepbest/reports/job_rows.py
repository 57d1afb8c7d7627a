"""The tables of a sweep's page: its jobs, and means over the values of an override."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keepbest.reports.page_parts import Cell, Column, cells_of, column_of, relative_link
from keepbest.reports.picture import cut
from keepbest.stopping.reasons import in_words

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {"best_epoch": "best epoch", "stopped_epoch": "stop epoch", "epochs_trained": "epochs"}
_STATISTICS = {"score_mean": "mean", "score_std": "spread", "score_min": "min", "score_max": "max", "count": "jobs"}
_WHOLE = {
    "best_epoch": "the epoch of the best score",
    "stopped_epoch": "the epoch in which early stopping ended the training",
    "epochs_trained": "epochs that the job takes when it is trained on its own",
    "score_std": "standard deviation",
}
_FILES = {"record": "run.json", "config": "config.yaml"}


class JobRow(NamedTuple):
    """A job: its number, its cells, its status, links to its files, and whether it is the best one."""

    number: int
    cells: list[Cell]
    status: str
    files: dict[str, str]
    is_best: bool


class Table(NamedTuple):
    """Columns and rows; those of `jobs` are `JobRow`, others lists of cells."""

    columns: list[Column]
    rows: list[Any]


def job_table(table: pd.DataFrame, best: int | None, page: Path) -> Table:
    """Return the jobs, in the order of the table.

    Args:
        table: of a sweep.
        best: the number of the best job.
        page: the file that links to theirs.
    """
    names = [name for name in table.columns if name not in ("path", "status")]
    values = {name: _plain(table[name]) for name in names}
    columns = [_column(table, name, values[name]) for name in names]
    cells = zip(*(cells_of(values[name], values[name] if name == "score" else ()) for name in names), strict=True)
    rows = [
        JobRow(int(number), list(row), status, _files(Path(path), page), number == best)
        for number, row, status, path in zip(table.index, cells, table["status"], table["path"], strict=True)
    ]
    return Table(columns, rows)


def means_table(means: pd.DataFrame) -> Table:
    """Return the means over an override, as `Sweep.table(aggregate=...)` gives them."""
    values = {name: _plain(means[name]) for name in means.columns}
    scores = ("score_mean", "score_min", "score_max")
    alike = [value for name in scores for value in values[name]]
    columns = [_column(means, name, values[name]) for name in values]
    cells = [cells_of(values[name], alike if name.startswith("score_") else ()) for name in values]
    return Table(columns, [list(row) for row in zip(*cells, strict=True)])


def _column(table: pd.DataFrame, name: str, values: list[Any]) -> Column:
    objective, key = table.attrs["objective"], table.attrs["keys"].get(name)
    if key is not None:
        return column_of(name, values, whole=key if key != cut(name) else "")
    if name == "score" and objective:
        direction = "descending" if objective["mode"] == "max" else "ascending"
        return column_of(objective["monitor"], values, whole="the best score", first=direction)
    return column_of(_NAMES.get(name, _STATISTICS.get(name, name)), values, whole=_WHOLE.get(name, ""))


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return the values of a column as Python's own, None where there is none."""
    import pandas as pd

    found = [None if pd.isna(value) else getattr(value, "item", lambda value=value: value)() for value in column]
    return [in_words(value) if column.name == "reason" and value else value for value in found]


def _files(directory: Path, page: Path) -> dict[str, str]:
    there = {word: directory / name for word, name in _FILES.items()}
    return {word: relative_link(path, page) for word, path in there.items() if path.is_file()}
