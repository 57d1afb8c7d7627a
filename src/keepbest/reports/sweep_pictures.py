"""The pictures of a sweep's page: heat maps, the curves of its trainings, and what other policies would have done."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from keepbest.errors import ConfigError, RecordError
from keepbest.reading.recommendation import Recommendation
from keepbest.reading.replay import Replay, replay
from keepbest.reading.sweep import Sweep
from keepbest.records.run_record import RunStatus
from keepbest.reports.job_rows import Table
from keepbest.reports.page_parts import Attempts, Section, cells_of, column_of, picture
from keepbest.reports.replay_table import differing_of, how_to_train, kept_of, why_none
from keepbest.reports.vector_picture import HALF, NARROW, WIDE, vector_picture

if TYPE_CHECKING:
    import pandas as pd

    from keepbest.reports.heatmap import Grid

_MOST_PAIRS = 3
_MOST_LEFT_OUT = 3
_MOST_DELTAS = 20
_MOST_TRAININGS = 200  # whose configs and metrics a page reads to replay them
_MOST_FRONT = 12
_FRONT = ("patience", "min_delta", "epochs", "score", "regret")
_MOST_IN_HALF, _LONGEST_IN_HALF = 8, 16  # columns of a heat map, and characters before its rows
_DELTA = "callbacks.early_stopping.min_delta"


def heatmaps_of(attempted: Attempts, sweep: Sweep, table: pd.DataFrame) -> list[Section]:
    """Return score and epochs over each pair of overrides that vary, seeds aside where others are enough."""
    keys: dict[str, str] = table.attrs["keys"]
    names = [name for name, key in keys.items() if key != "seed"]
    names = names if len(names) > 1 else list(keys)
    if table.attrs["objective"] is None or not (table["status"] == RunStatus.COMPLETED.value).any():
        return []
    pairs = list(combinations(names, 2))[:_MOST_PAIRS]
    values = ("score", "epochs_trained")
    wanted = [(place, x, y, value) for place, (x, y) in enumerate(pairs) for value in values]
    in_order = sweep.table()
    return [attempted(partial(_heatmap, in_order, *one), "a heat map") for one in wanted]


def curves_of(sweep: Sweep) -> dict[str, Any]:
    """Return the curves of the trainings, each once."""
    text = "the objective over the epochs of each training, with the ends of its jobs and the best one"

    def draw(axes: Any) -> None:
        sweep.curves(ax=axes)
        axes.set_title("", loc="left")  # the page has said so

    return picture(vector_picture(draw, "curves", text))


def policies_of(attempted: Attempts, sweep: Sweep, table: pd.DataFrame) -> dict[str, Any]:
    """Return the Pareto front of stopping policies on the sweep's trainings, and the policy to take.

    Raises:
        RecordError: for a sweep of too many trainings.
        KeepbestError: when the trainings cannot be replayed.
    """
    trainings = {job["trajectory"] or job["directory"] for job in sweep.record["jobs"]}
    if len(trainings) > _MOST_TRAININGS:
        raise RecordError(
            f"a page replays at most {_MOST_TRAININGS} trainings, this sweep has {len(trainings)}: "
            "keepbest replay takes any number."
        )
    found = _replayed(sweep, _min_deltas(table))
    if np.isnan(found.mean_regret).all():
        raise RecordError(
            f"what a policy would have done is known where the trainings outlast it, or reach a limit of their own: of "
            f"these {found.grid.size} policies none is."
        )
    best = found.recommend()
    why = why_none(found, 0) if best is None else ""
    text = "regret against epochs of policies, with the Pareto front"
    has_choice = found.front.size > 1
    return {
        "svg": vector_picture(partial(_plot, found), "front", text, size=HALF) if has_choice else None,
        "policies": found.grid.size,
        "histories": len(found.outcomes),
        "censored": int((found.censored > 0).sum()),
        "repeated": found.repeated,
        "left_out": [attempted.worded(ValueError(line)) for line in found.left_out[:_MOST_LEFT_OUT]],
        "more_left_out": max(len(found.left_out) - _MOST_LEFT_OUT, 0),
        "kept": kept_of(found),
        "differing": f"{differing_of(found)}." if found.differing else "",
        "front": None if found.is_limited else _front(found),
        "recommended": _recommended(best, found),
        "why_none": f"{why[:1].upper()}{why[1:]}.",
    }


def _heatmap(table: pd.DataFrame, place: int, x: str, y: str, value: str) -> dict[str, Any]:
    from keepbest.reading.sweep_grid import grid_of
    from keepbest.reports.heatmap import draw_heatmap

    text = f"a heat map of {value.replace('_', ' ')} over {x} and {y}; the jobs' table has the same numbers"
    name = f"heatmap-{place}-{value.replace('_', '-')}"
    grid = grid_of(table, x, y, value, "mean")
    height = min(2 + 0.35 * len(grid.rows), 9)
    size, narrow = (_width(grid), max(height, 3.2)), (NARROW[0], max(height, NARROW[1]))
    svg = vector_picture(partial(draw_heatmap, grid), name, text, size=size, narrow=narrow, on_page=False)
    return picture(svg) | {"is_wide": size[0] == WIDE[0]}


def _width(grid: Grid) -> float:
    """Return the inches of a heat map: of half a page, or of a whole one where half has no room for its numbers."""
    is_small = len(grid.columns) <= _MOST_IN_HALF and max(map(len, grid.rows)) <= _LONGEST_IN_HALF
    return (HALF if is_small else WIDE)[0]


def _replayed(sweep: Sweep, min_delta: list[float]) -> Replay:
    try:
        return replay(sweep, min_delta=min_delta)
    except ConfigError as error:  # what it received would fill the page
        raise RecordError(f"the trainings cannot be replayed: {error.rule}.") from error


def _plot(found: Replay, axes: Any) -> None:
    found.plot(ax=axes)
    axes.set_title("", loc="left")  # the page says what is left out


def _min_deltas(table: pd.DataFrame) -> list[float]:
    """Return the values of min_delta that the sweep tried, and 0."""
    column = next((name for name, key in table.attrs["keys"].items() if key == _DELTA), None)
    tried = list(table[column].dropna()) if column else [table.attrs["fixed"].get(_DELTA)]
    numbers = {float(value) for value in tried if isinstance(value, (int, float)) and 0 <= value < float("inf")}
    return sorted({0.0, *numbers})[:_MOST_DELTAS]


def _front(found: Replay) -> Table:
    rows = found.pareto().iloc[::-1]
    values = {name: [value.item() for value in rows[name].to_numpy()[:_MOST_FRONT]] for name in _FRONT}
    for name in ("epochs", "regret"):
        values[name] = [float(f"{value:.3g}") for value in values[name]]
    columns = [column_of(name, values[name]) for name in _FRONT]
    cells = [cells_of(values[name], values[name] if name == "score" else ()) for name in _FRONT]
    return Table(columns, [list(row) for row in zip(*cells, strict=True)])


def _recommended(best: Recommendation | None, found: Replay) -> dict[str, Any] | None:
    if best is None:
        return None
    return {
        "overrides": " ".join(best.overrides),
        "epochs": f"{best.epochs:.3g}",
        "total": f"{found.total_epochs:.3g}",
        "saves": best.epochs < found.total_epochs,
        "how": "; ".join(how_to_train(best)).capitalize(),
    }
