"""A CSV file with a metric in it, whoever wrote it: Lightning's CSVLogger, TensorBoard's export, Keras's CSVLogger.

An empty cell is no check; the text `nan` is a check that gave NaN.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keepbest.errors import ConfigError
from keepbest.reading.metric_columns import epoch_column, is_counter, metric_column, require_different, whole_epochs
from keepbest.reading.run_files import LARGEST_TABLE
from keepbest.stopping.trajectory import Trajectory, precision_told_by

_DELIMITERS = ",;\t"
_QUOTED = re.compile(r'"[^"]*"')
_TOLD_DELIMITER = re.compile(r'"?sep=([^"\w \n])"?\s*', re.IGNORECASE)  # what Excel takes from a first line


def read_metric_csv(path: Path, monitor: str | None, left_out: list[str]) -> tuple[str, Trajectory]:
    """Return the name of a metric, and its checks.

    A column `epoch` says where each check was made; without one, as in TensorBoard's export, each counts as an epoch.
    Commas, semicolons or tabs part the cells, or what a first line `sep=` names. Empty lines, and those that begin with
    `#`, are skipped.

    Args:
        path: the file, with a row of names.
        monitor: the metric's column; None where there is no other than counters and times.
        left_out: takes up what was not read, in words: a last row without a line end that is not whole, as of a log
            that goes on: that lacks a cell, or whose last cell is to be a number and is none, or only its beginning.

    Raises:
        ConfigError: for a file that cannot be read so, and where the column is not clear.
    """
    table = _read(path, left_out)
    filled = [name for name in table.names if not is_counter(name) and any(cell for _, cell in table.column(name))]
    name = metric_column(path.name, filled, monitor)
    table = table.finished((name, epoch_column(table.names)), left_out)
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
        is_ended: whether a line end follows the last row; without one, its last cell may be the beginning of another.
    """

    path: Path
    names: list[str]
    rows: list[tuple[int, list[str]]]
    is_ended: bool

    def finished(self, used: Collection[str | None], left_out: list[str]) -> _Table:
        """Return the table without a last row whose last cell is not written whole, where its column is used."""
        if self.is_ended or self.names[-1] not in used or _is_whole(self.rows[-1][1][-1].strip()):
            return self
        left_out.append(_not_whole(self.path))
        return replace(self, rows=self.rows[:-1], is_ended=True)

    def column(self, name: str) -> Iterator[tuple[int, str]]:
        place = self.names.index(name)
        return ((line, cells[place].strip()) for line, cells in self.rows)

    def number(self, name: str, line: int, cell: str) -> float:
        try:
            return _number(cell)
        except ValueError:
            comma = "," in cell and cell.replace(",", "", 1).lstrip("+-").isdigit()
            raise ConfigError(
                f"column {name!r} of {self.path.name} must hold numbers, line {line}",
                received=cell,
                remedy="Write decimals with a point" if comma else None,
            ) from None


def _number(cell: str) -> float:
    """Return the number that a cell holds.

    Raises:
        ValueError: for anything else; Python's own `1_5` is no number in a table.
    """
    return float(cell.replace("_", "?"))


def _is_whole(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return not cell.endswith(".")


def _not_whole(path: Path) -> str:
    return f"{path.name}: its last line is not whole"


def _read(path: Path, left_out: list[str]) -> _Table:
    """Return the table of a file."""
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise ConfigError(f"a CSV file must have at most {LARGEST_TABLE} bytes", received=str(path))
        lines = list(io.StringIO(path.read_text(encoding="utf-8-sig")))
        lines = ["\n" if line.lstrip().startswith("#") else line for line in lines]
        last = lines[-1] if lines and not lines[-1].endswith("\n") else ""
        if is_open := last.count('"') % 2 == 1:
            lines.pop()
        rows = list(_rows(lines))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"a history must be a readable CSV file: {error}", received=str(path)) from error
    if not rows:
        raise ConfigError("a CSV file must have a row of names, this one is empty", received=str(path))
    names = [name.strip() for name in rows.pop(0)[1]]
    require_different("a CSV file", names)
    is_ended = is_open or not last.strip(_DELIMITERS + " ")
    is_short = bool(rows) and not is_ended and len(rows[-1][1]) < len(names)
    if is_short:
        rows.pop()
    if is_open or is_short:
        left_out.append(_not_whole(path))
    if not rows:
        raise ConfigError("a CSV file must have rows below the names of its columns", received=str(path))
    for line, cells in rows:
        if len(cells) != len(names):
            raise ConfigError(
                f"each row of a CSV file must have as many cells as the row of names, {len(names)}; "
                f"line {line} has {len(cells)}",
                received=str(path),
            )
    return _Table(path, names, rows, is_ended or is_short)


def _rows(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Return the rows that say something, each with the number of the line that it ends in."""
    told = _TOLD_DELIMITER.fullmatch(lines[0]) if lines else None
    if told:
        lines = ["\n", *lines[1:]]
    head = _QUOTED.sub("", next(filter(str.strip, lines), ""))
    reader = csv.reader(lines, delimiter=told[1] if told else max(_DELIMITERS, key=head.count), strict=True)
    return ((reader.line_num, cells) for cells in reader if any(map(str.strip, cells)))


def _epochs(table: _Table, lines: set[int]) -> NDArray[np.int64]:
    name = epoch_column(table.names)
    if name is None:
        return np.arange(len(lines), dtype=np.int64)
    cells = [(line, cell) for line, cell in table.column(name) if line in lines]
    return whole_epochs(name, table.path.name, [table.number(name, line, cell) for line, cell in cells])
