"""A CSV file with a metric in it, whoever wrote it: Lightning's CSVLogger, TensorBoard's export, Keras's CSVLogger.

An empty cell is no check; the text `nan` is a check that gave NaN.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keepbest.errors import ConfigError
from keepbest.reading.metric_columns import epoch_column, is_counter, metric_column, whole_epochs
from keepbest.reading.run_files import LARGEST_TABLE
from keepbest.stopping.trajectory import Trajectory, precision_told_by

_DELIMITERS = ",;\t"


def read_metric_csv(path: Path, monitor: str | None, left_out: list[str]) -> tuple[str, Trajectory]:
    """Return the name of a metric, and its checks.

    A column `epoch` says where each check was made; without one, as in TensorBoard's export, each counts as an epoch.
    Commas, semicolons or tabs part the cells. Empty lines, and those that begin with `#` before the names, are skipped.

    Args:
        path: the file, with a row of names.
        monitor: the metric's column; None where there is no other than counters and times.
        left_out: takes up what was not read, in words: a last row that is not whole, as of a log that goes on.

    Raises:
        ConfigError: for a file that cannot be read so, and where the column is not clear.
    """
    table = _read(path, left_out)
    filled = [name for name in table.names if not is_counter(name) and any(cell for _, cell in table.column(name))]
    name = metric_column(path.name, filled, monitor)
    checks = [(line, cell) for line, cell in table.column(name) if cell]
    values = np.array([table.number(name, line, cell) for line, cell in checks], dtype=np.float64)
    epochs = _epochs(table, {line for line, _ in checks})
    return name, Trajectory(values, precision_told_by(values), epochs, name=path.name)


@dataclass(frozen=True)
class _Table:
    """The cells of a file.

    Args:
        path: the file.
        names: of the columns.
        rows: each with the number of its line in the file, from 1.
    """

    path: Path
    names: list[str]
    rows: list[tuple[int, list[str]]]

    def column(self, name: str) -> Iterator[tuple[int, str]]:
        place = self.names.index(name)
        return ((line, cells[place].strip()) for line, cells in self.rows)

    def number(self, name: str, line: int, cell: str) -> float:
        try:
            return float(cell)
        except ValueError:
            comma = "," in cell and cell.replace(",", "", 1).lstrip("+-").isdigit()
            raise ConfigError(
                f"column {name!r} of {self.path.name} must hold numbers, line {line}",
                received=cell,
                remedy="Write decimals with a point" if comma else None,
            ) from None


def _read(path: Path, left_out: list[str]) -> _Table:
    """Return the table of a file."""
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise ConfigError(f"a CSV file must have at most {LARGEST_TABLE} bytes", received=str(path))
        text = path.read_text(encoding="utf-8-sig")
        lines = list(_lines(text))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"a history must be a readable CSV file: {error}", received=str(path)) from error
    if not lines:
        raise ConfigError("a CSV file must have a row of names, this one is empty", received=str(path))
    (_, first), *rows = lines
    names = [name.strip() for name in first]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError("the columns of a CSV file must have different names", received=", ".join(sorted(twice)))
    if rows and len(rows[-1][1]) < len(names) and not text.endswith(("\n", "\r")):
        left_out.append(f"{path.name}: its last line is not whole")
        rows.pop()
    if not rows:
        raise ConfigError("a CSV file must have rows below the names of its columns", received=str(path))
    for line, cells in rows:
        if len(cells) != len(names):
            raise ConfigError(
                f"each row of a CSV file must have as many cells as the row of names, {len(names)}; "
                f"line {line} has {len(cells)}",
                received=str(path),
            )
    return _Table(path, names, rows)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Return the rows that say something, each with the number of the line that it ends in."""
    skipped, rest = 0, text
    while rest and (not (first := rest.partition("\n")[0]).strip() or first.lstrip().startswith("#")):
        skipped, rest = skipped + 1, rest.partition("\n")[2]
    head = rest.partition("\n")[0]
    reader = csv.reader(io.StringIO(rest, newline=""), delimiter=max(_DELIMITERS, key=head.count), strict=True)
    return ((skipped + reader.line_num, cells) for cells in reader if any(map(str.strip, cells)))


def _epochs(table: _Table, lines: set[int]) -> NDArray[np.int64]:
    name = epoch_column(table.names)
    if name is None:
        return np.arange(len(lines), dtype=np.int64)
    cells = [(line, cell) for line, cell in table.column(name) if line in lines]
    return whole_epochs(name, table.path.name, [table.number(name, line, cell) for line, cell in cells])
