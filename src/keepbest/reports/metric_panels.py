"""Small pictures of the metrics that a training recorded: what belongs together shares one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keepbest.records.metrics_table import RecordedCheck
from keepbest.records.run_record import RunRecord
from keepbest.reports.curve import best_place, is_by_epoch
from keepbest.reports.picture import LITERAL, cut, finish_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_PANELS = 6
_PART = re.compile(r"(train|val|valid|validation|test)[_/](.+)", re.DOTALL)
# Okabe and Ito's palette, told apart by the colour-blind, and by their dashes
_STYLES = {"train": ("#E69F00", "--"), "test": ("#CC79A7", ":")}
_OTHER, _BEST = ("#0072B2", "-"), "#009E73"


class Line(NamedTuple):
    """One metric: its name, its part (`train`, `val`) where it has one, and its values with their places."""

    name: str
    part: str
    places: Sequence[float]
    values: Sequence[float]


class Panel(NamedTuple):
    """Metrics that share axes.

    Args:
        name: what they measure.
        lines: the metrics.
        unit: what the places count: "epoch", "check" or "step".
        best: the place of the best check; None without one.
    """

    name: str
    lines: list[Line]
    unit: str
    best: int | None


def panels_of(metrics: pd.DataFrame, checks: Sequence[RecordedCheck], record: RunRecord) -> list[Panel]:
    """Return the pictures that a table of metrics gives, without that of the objective alone, which has its own.

    They count what that one does: epochs where each has one check at the most, else checks. What was logged between two
    checks stands between them.

    Args:
        metrics: of a run.
        checks: of its objective.
        record: the run's.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in map(str, metrics.columns):
        if name not in ("epoch", "step"):
            part = _PART.fullmatch(name)
            groups[part[2] if part else name].append(name)
    best = best_place(checks, record)
    own = [record.objective.monitor]
    return [_panel(metrics, title, names, checks, best) for title, names in groups.items() if names != own]


def draw_panel(panel: Panel) -> Figure:
    """Draw a panel as a new figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 2.7), layout="constrained")
    axes = figure.add_subplot()
    for line in panel.lines:
        colour, dashes = _STYLES.get(line.part, _OTHER)
        axes.plot(line.places, line.values, dashes, color=colour, lw=1.5, label=cut(line.name, 32).lstrip("_"))
    if panel.best is not None:
        axes.axvline(panel.best, color=_BEST, lw=1, alpha=0.8, label="best")
    axes.set_title(cut(panel.name, 40), fontsize=10, loc="left", **LITERAL)
    axes.set_xlabel(panel.unit, fontsize=9)
    finish_axes(axes, [value for line in panel.lines for value in line.values])
    axes.tick_params(labelsize=8.5)
    for text in axes.legend(frameon=False, fontsize=8).get_texts():
        text.set_parse_math(False)
    return figure


def _panel(
    metrics: pd.DataFrame, title: str, names: Sequence[str], checks: Sequence[RecordedCheck], best: int | None
) -> Panel:
    rows = {name: metrics.loc[metrics[name].notna(), ["epoch", "step", name]] for name in names}
    places: dict[str, Any]
    if is_by_epoch(checks) and all(found["epoch"].is_unique for found in rows.values()):
        unit, places = "epoch", {name: found["epoch"] for name, found in rows.items()}
        best = None if best is None else checks[best].epoch
    elif checks:
        steps = [check.step for check in checks]
        unit = "check"
        places = {name: np.interp(found["step"], steps, range(len(steps))) for name, found in rows.items()}
    else:
        unit, places = "step", {name: found["step"] for name, found in rows.items()}
    lines = [Line(name, _part(name), list(places[name]), found[name].tolist()) for name, found in rows.items()]
    return Panel(title, lines, unit, best)


def _part(name: str) -> str:
    found = _PART.fullmatch(name)
    return found[1] if found else ""
