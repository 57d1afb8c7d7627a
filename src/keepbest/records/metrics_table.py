"""`metrics.csv`: one row per check and per epoch, written while the training goes on."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from keepbest.errors import RecordError

METRICS_FILE = "metrics.csv"


class MetricsTable:
    """A CSV file that grows by a row at a time.

    The columns are `epoch` (from 0), `step` (optimizer steps taken) and one per metric, in the order of their first
    appearance; a cell is empty where a row has no such metric. Floats are written with `repr`, so that reading them
    gives the same bits back. A row with a new metric rewrites the file with the new header.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._columns: list[str] = []

    def append(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Add a row to the file."""
        row = {"epoch": epoch, "step": step, **metrics}
        self.rows.append(row)
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            self._write("w", self.rows)
        else:
            self._write("a", [row])

    def _write(self, how: str, rows: list[dict[str, float]]) -> None:
        with self.path.open(how, newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, restval="", lineterminator="\n")
            if how == "w":
                writer.writeheader()
            writer.writerows(rows)


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
    return int(text) if name in ("epoch", "step") else float(text or "nan")
