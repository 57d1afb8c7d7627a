"""The results of a sweep over two of its overrides, as a heat map shows them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from keepbest.errors import ConfigError, RecordError, did_you_mean
from keepbest.reading.sweep_table import named_override
from keepbest.records.run_record import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from keepbest.reports.heatmap import Grid

VALUES = ("score", "stopped_epoch", "best_epoch", "epochs_trained")
_SHORT = {"epochs": "epochs_trained", "stop_epoch": "stopped_epoch"}
AGGREGATES = ("mean", "median", "min", "max", "std")
_Cells = dict[tuple[int, int], list[float]]


def grid_of(table: pd.DataFrame, x: str, y: str, value: str, aggregate: str) -> Grid:
    """Return the cells of a heat map: of completed jobs only.

    Args:
        table: of the sweep, whose jobs have one objective.
        x: the override along the horizontal axis.
        y: the override along the vertical axis.
        value: the result in the cells, one of `VALUES`; `epochs` and `stop_epoch` are short for two of them.
        aggregate: how the jobs of one cell are taken together, one of `AGGREGATES`.

    Raises:
        ConfigError: for names that there are not.
        RecordError: when no job has completed.
    """
    from keepbest.reports.heatmap import Grid

    x, y = named_override(table, x, "x"), named_override(table, y, "y")
    value = _SHORT.get(value, value) if isinstance(value, str) else value
    if x == y:
        raise ConfigError("x and y must be different overrides", received=x)
    _require_one_of("value", value, VALUES)
    _require_one_of("aggregate", aggregate, AGGREGATES)
    columns, rows = _axis(table[x]), _axis(table[y])
    done = table[table["status"] == RunStatus.COMPLETED.value]
    if not len(done):
        raise RecordError("a heat map shows completed jobs, none of the sweep has completed. See sweep.table().")
    places = [(rows.index(_plain(b)), columns.index(_plain(a))) for a, b in zip(done[x], done[y], strict=True)]
    shape = len(rows), len(columns)
    found, scores = (_cells(places, done[name]) for name in (value, "score"))
    objective = table.attrs["objective"]
    name = objective["monitor"] if value == "score" else value.replace("_", " ")
    return Grid(
        x=x,
        y=y,
        columns=[_label(item) for item in columns],
        rows=[_label(item) for item in rows],
        values=_filled(found, shape, aggregate),
        best=_best(_filled(scores, shape, "mean" if aggregate == "std" else aggregate), objective["mode"]),
        name=name,
        monitor=objective["monitor"],
        aggregate=aggregate,
        counts=sorted({len(items) for items in found.values() if items}),
        lower_is_better=value == "score" and objective["mode"] == "min" and aggregate != "std",
    )


def _cells(places: list[tuple[int, int]], values: Iterable[Any]) -> _Cells:
    cells: _Cells = defaultdict(list)
    for place, value in zip(places, values, strict=True):
        if _plain(value) is not None:
            cells[place].append(float(value))
    return cells


def _filled(cells: _Cells, shape: tuple[int, int], aggregate: str) -> np.ndarray[Any, Any]:
    values = np.full(shape, np.nan)
    for place, items in cells.items():
        if aggregate == "std":
            values[place] = np.std(items, ddof=1) if len(items) > 1 else np.nan
        else:
            values[place] = getattr(np, aggregate)(items)
    return values


def _best(scores: np.ndarray[Any, Any], mode: str) -> np.ndarray[Any, Any]:
    """Return which cells have the best score: several may have the same."""
    if np.isnan(scores).all():
        return np.zeros(scores.shape, dtype=bool)
    best = np.nanmin(scores) if mode == "min" else np.nanmax(scores)
    return np.asarray(scores == best)


def _axis(column: pd.Series[Any]) -> list[Any]:
    """Return the values of an override: numbers by size, then others in the order of the sweep, None last."""
    values = list(dict.fromkeys(map(_plain, column)))
    numbers = [value for value in values if isinstance(value, (int, float))]
    others = [value for value in values if value is not None and not isinstance(value, (int, float))]
    return [*sorted(numbers), *others, *([None] if None in values else [])]


def _plain(value: Any) -> Any:
    import pandas as pd

    return None if pd.isna(value) else value.item() if isinstance(value, np.generic) else value


def _label(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) and f"{value:g}" == f"{value:.12g}" else str(value)


def _require_one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        near = did_you_mean(value, choices) if isinstance(value, str) else ""
        raise ConfigError(f"{name} must be one of {', '.join(choices)}", received=value, remedy=near or None)
