"""`metrics.csv`: one row per check and per epoch, written while the training goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from keepbest.errors import RecordError
from keepbest.records.atomic import write_text

METRICS_FILE = "metrics.csv"
_COUNTERS = {"epoch": 0, "step": 0}
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
        """Let the file hold these rows, whatever it holds."""
        self.rows, self._columns = list(rows), []
        for row in self.rows:
            self._add_columns(row)
        write_text(self.path, self._text(self.rows, header=True))

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
        RecordError: when the file cannot be read as such a table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
        return {name: [_number(name, row[name]) for row in rows] for name in reader.fieldnames or ()}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise RecordError(f"{path} cannot be read as a table of metrics: {error}") from error


def _number(name: str, text: str) -> float:
    return int(text) if name in _COUNTERS else float(text or "nan")
