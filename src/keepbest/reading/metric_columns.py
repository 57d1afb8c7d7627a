"""Which columns of a table hold what: the metric, the epochs, and what only counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepbest.errors import ConfigError, did_you_mean

_EPOCH = "epoch"
_COUNTERS = frozenset({_EPOCH, "step", "global_step", "iteration", "wall time", "wall_time", "time", "timestamp"})
_UNNAMED = re.compile(r"(unnamed: \d+)?", re.IGNORECASE)  # what pandas writes above an index, and reads there
_MOST_NAMES = 20


def epoch_column(names: Sequence[str]) -> str | None:
    """Return the name of the column that says where each check was made."""
    return next((name for name in names if name.lower() == _EPOCH), None)


def is_counter(name: str) -> bool:
    """Return whether a column counts or tells the time, rather than holding a metric."""
    return name.lower() in _COUNTERS or _UNNAMED.fullmatch(name) is not None


def require_different(table: str, names: Sequence[str]) -> None:
    """Refuse columns of one name; any number may have none.

    Raises:
        ConfigError: when there are such.
    """
    if twice := {name for name in names if name and names.count(name) > 1}:
        raise ConfigError(f"the columns of {table} must have different names", received=", ".join(sorted(twice)))


def metric_column(table: str, metrics: Sequence[str], monitor: str | None) -> str:
    """Return the column of the metric that is meant.

    Args:
        table: what to call it.
        metrics: its columns with values, apart from what counts.
        monitor: the one asked for; None where there is only one.

    Raises:
        ConfigError: where there is none, or it is not clear.
    """
    if monitor is None and len(metrics) == 1:
        return metrics[0]
    if monitor is None:
        raise ConfigError(
            f"monitor must name the column to look at in {table}, which has {len(metrics)} that may be meant",
            remedy=f"Give monitor as one of {_listed(metrics)}" if metrics else None,
        )
    if monitor not in metrics:
        near = did_you_mean(monitor, metrics)
        raise ConfigError(
            f"monitor must name a column of {table} with a metric",
            received=monitor,
            remedy=f"{near} It has {_listed(metrics) or 'none'}".lstrip(),
        )
    return monitor


def whole_epochs(name: str, table: str, numbers: Sequence[Any]) -> NDArray[np.int64]:
    """Return the epochs of a column.

    Raises:
        ConfigError: for what is no whole number from 0 on.
    """
    for number in numbers:
        if not _is_epoch(number):
            text = (
                "Turn its texts into numbers, as pandas.to_numeric does, or rename" if isinstance(number, str) else None
            )
            raise ConfigError(
                f"column {name!r} of {table} must hold whole numbers, from 0",
                received=number,
                remedy=f"{text or 'Rename'} the column, and each check counts as an epoch",
            )
    return np.array([int(number) for number in numbers], dtype=np.int64)


def _is_epoch(value: Any) -> bool:
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    return is_number and 0 <= value < np.iinfo(np.int64).max and float(value).is_integer()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
