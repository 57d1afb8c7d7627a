"""A CSV file with a metric in it, whoever wrote it: Lightning's CSVLogger, TensorBoard's export, Keras's CSVLogger.

An empty cell is no check; the text `nan` is a check that gave NaN.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keepbest.errors import ConfigError, did_you_mean
from keepbest.reading.run_files import LARGEST_TABLE
from keepbest.stopping.trajectory import Trajectory, precision_told_by

_EPOCH = "epoch"
_COUNTERS = frozenset({_EPOCH, "step", "global_step", "iteration", "wall time", "wall_time", "time", "timestamp"})
_MOST_NAMES = 20


def read_metric_csv(path: Path, monitor: str | None) -> tuple[str, Trajectory]:
    """Return the name of a metric, and its checks.

    A column `epoch` says where each check was made; without one, as in TensorBoard's export, each counts as an epoch.

    Args:
        path: the file, with a row of names.
        monitor: the metric's column; None where there is no other than counters and times.

    Raises:
        ConfigError: for a file that cannot be read so, and where the column is not clear.
    """
    columns = _columns(path)
    name = _chosen(path, columns, monitor)
    rows = [row for row, cell in enumerate(columns[name]) if cell.strip()]
    values = np.array([_number(path, name, row, columns[name][row]) for row in rows], dtype=np.float64)
    return name, Trajectory(values, precision_told_by(values), _epochs(path, columns, rows), name=path.name)


def _columns(path: Path) -> dict[str, list[str]]:
    """Return the cells of each column."""
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise ConfigError(f"a CSV file must have at most {LARGEST_TABLE} bytes", received=str(path))
        text = path.read_text(encoding="utf-8-sig")
        names, *rows = csv.reader(io.StringIO(text, newline=""), strict=True) if text.strip() else ([],)
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"a history must be a readable CSV file: {error}", received=str(path)) from error
    rows = [row for row in rows if row]
    if not names or not rows or len(set(names)) != len(names):
        raise ConfigError("a CSV file must begin with a row of different names, and have rows", received=str(path))
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ConfigError(
                f"each row of a CSV file must have {len(names)} cells, row {number} has {len(row)}", received=str(path)
            )
    return {name.strip(): list(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)}


def _chosen(path: Path, columns: dict[str, list[str]], monitor: str | None) -> str:
    metrics = [name for name in columns if name.lower() not in _COUNTERS and any(map(str.strip, columns[name]))]
    if monitor is None and len(metrics) == 1:
        return metrics[0]
    if monitor is None:
        raise ConfigError(
            f"monitor must name the column to look at in {path.name}, which has {len(metrics)} that may be meant",
            remedy=f"Give monitor as one of {_listed(metrics)}" if metrics else None,
        )
    if monitor not in metrics:
        near = did_you_mean(monitor, metrics)
        raise ConfigError(
            f"monitor must name a column of {path.name} with a metric",
            received=monitor,
            remedy=f"{near} It has {_listed(metrics) or 'none'}".lstrip(),
        )
    return monitor


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _number(path: Path, name: str, row: int, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ConfigError(f"column {name!r} of {path.name} must hold numbers, row {row + 1}", received=cell) from None


def _epochs(
    path: Path, columns: dict[str, list[str]], rows: Iterable[int]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    name = next((name for name in columns if name.lower() == _EPOCH), None)
    if name is None:
        return np.arange(len(list(rows)), dtype=np.int64)
    numbers = [_number(path, name, row, columns[name][row]) for row in rows]
    for number in numbers:
        if not (number.is_integer() and 0 <= number < np.iinfo(np.int64).max):
            raise ConfigError(
                f"column {name!r} of {path.name} must hold whole numbers, from 0",
                received=number,
                remedy="Rename the column, and each check counts as an epoch",
            )
    return np.array([int(number) for number in numbers], dtype=np.int64)
