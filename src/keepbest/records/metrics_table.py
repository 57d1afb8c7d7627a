"""`metrics.csv`: one row per check and per epoch, written while the training goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from keepbest.errors import RecordError
from keepbest.records.atomic import write_text

METRICS_FILE = "metrics.csv"
_COUNTERS = {"epoch": 0, "step": 0}
_LONGEST_SHOWN = 200  # characters of a row in a message
Row = dict[str, float]


def row_of(epoch: int, step: int, metrics: Mapping[str, float]) -> Row:
    """Return a row of the table. A metric of the name `epoch` or `step` gives way to the counter."""
    return {**_COUNTERS, **metrics, "epoch": epoch, "step": step}


class MetricsTable:
    """A CSV file that grows by a row at a time.

    The columns are `epoch` (from 0), `step` (optimizer steps taken) and one per metric, in the order of their first
    appearance; a cell is empty where a row has no such metric. Floats are written with `repr`, so that reading them
    gives the same bits back. A row with a new metric rewrites the file with the new header.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = []
        self._columns: list[str] = []

    def append(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Add a row to the file."""
        row = row_of(epoch, step, metrics)
        self.rows.append(row)
        if self._add_columns(row):
            write_text(self.path, self._text(self.rows, header=True))
        else:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                file.write(self._text([row], header=False))

    def restore(self, rows: Iterable[Row]) -> None:
        """Let the file hold these rows, whatever it holds; without any there is no file."""
        self.rows, self._columns = list(rows), []
        for row in self.rows:
            self._add_columns(row)
        if self.rows:
            write_text(self.path, self._text(self.rows, header=True))
        else:
            self.path.unlink(missing_ok=True)

    def _add_columns(self, row: Row) -> bool:
        new = [name for name in row if name not in self._columns]
        self._columns += new
        return bool(new)

    def _text(self, rows: list[Row], *, header: bool) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, restval="", lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def read_metrics(path: Path) -> dict[str, list[float]]:
    """Return the columns of a metrics table: `epoch` and `step` as whole numbers, NaN where a cell is empty.

    Every float is the one that was written, bit for bit.

    Raises:
        RecordError: when the file cannot be read as such a table: one with a row that is cut off, too.
    """
    with _telling(path):
        return {name: [_number(name, cell) for cell in cells] for name, cells in _read_cells(path).items()}


class RecordedCheck(NamedTuple):
    """A row of the table in which a metric has a value, NaN among them: an empty cell is no check.

    Args:
        epoch: from 0.
        step: optimizer steps taken.
        value: of the metric.
        ends_epoch: whether no row of the same epoch comes after it.
    """

    epoch: int
    step: int
    value: float
    ends_epoch: bool


def read_checks(path: Path, metric: str) -> list[RecordedCheck] | None:
    """Return the checks of a metric; None for a metric that the table does not have.

    Raises:
        RecordError: when the file cannot be read as such a table.
    """
    with _telling(path):
        cells = _read_cells(path)
        if metric not in cells or metric in _COUNTERS:
            return None
        epochs, steps = ([int(cell) for cell in cells[name]] for name in _COUNTERS)
        following = [*epochs[1:], None]
        rows = zip(epochs, steps, cells[metric], following, strict=True)
        return [RecordedCheck(epoch, step, float(cell), after != epoch) for epoch, step, cell, after in rows if cell]


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, csv.Error) as error:
        raise RecordError(f"{path} cannot be read as a table of metrics: {error}") from error


def _read_cells(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        text = file.read()
    names, *rows = csv.reader(io.StringIO(text, newline=""), strict=True) if text else ([],)
    _require_form(text, names, rows)
    return {name: list(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)}


def _require_form(text: str, names: list[str], rows: list[list[str]]) -> None:
    """Refuse what `MetricsTable` never writes.

    Raises:
        ValueError: saying what.
    """
    if not rows:
        raise ValueError("it must hold a row of names and at least one of numbers, and holds none of numbers")
    if names[:2] != list(_COUNTERS) or len(set(names)) != len(names):
        raise ValueError(f"its columns must be epoch, step and metrics of different names, got {_shown(names)}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(f"each row must have {len(names)} cells, row {number} has {len(row)}: {_shown(row)}")
    if not text.endswith("\n"):
        raise ValueError(f"its last row is cut off: {_shown(rows[-1])}")


def _shown(cells: list[str]) -> str:
    text = repr(cells)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _number(name: str, text: str) -> float:
    return int(text) if name in _COUNTERS else float(text or "nan")
