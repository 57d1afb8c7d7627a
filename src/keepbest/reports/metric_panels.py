"""Small pictures of the metrics that a training recorded: what belongs together shares one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

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
    """One metric: its name, its part (`train`, `val`) where it has one, and its values over epochs or steps."""

    name: str
    part: str
    places: Sequence[int]
    values: Sequence[float]


class Panel(NamedTuple):
    """Metrics that share axes.

    Args:
        name: what they measure.
        lines: the metrics.
        unit: "epoch" or "step".
        best: the epoch of the best check; None where that has no place.
    """

    name: str
    lines: list[Line]
    unit: str
    best: int | None


def panels_of(metrics: pd.DataFrame, monitor: str, best_epoch: int | None) -> list[Panel]:
    """Return the pictures that a table of metrics gives, without that of the objective alone.

    Args:
        metrics: of a run.
        monitor: the objective's metric, which has a picture of its own.
        best_epoch: of the best check.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in map(str, metrics.columns):
        if name not in ("epoch", "step"):
            part = _PART.fullmatch(name)
            groups[part[2] if part else name].append(name)
    return [_panel(metrics, title, names, best_epoch) for title, names in groups.items() if names != [monitor]]


def draw_panel(panel: Panel) -> Figure:
    """Draw a panel as a new figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 2.7), layout="constrained")
    axes = figure.add_subplot()
    for line in panel.lines:
        colour, dashes = _STYLES.get(line.part, _OTHER)
        axes.plot(line.places, line.values, dashes, color=colour, lw=1.5, label=cut(line.name, 32).lstrip("_"))
    if panel.best is not None:
        axes.axvline(panel.best, color=_BEST, lw=1, alpha=0.8, label="best epoch")
    axes.set_title(cut(panel.name, 40), fontsize=10, loc="left", **LITERAL)
    axes.set_xlabel(panel.unit, fontsize=9)
    finish_axes(axes, [value for line in panel.lines for value in line.values])
    axes.tick_params(labelsize=8.5)
    for text in axes.legend(frameon=False, fontsize=8).get_texts():
        text.set_parse_math(False)
    return figure


def _panel(metrics: pd.DataFrame, title: str, names: Sequence[str], best_epoch: int | None) -> Panel:
    rows = {name: metrics.loc[metrics[name].notna(), ["epoch", "step", name]] for name in names}
    unit = "epoch" if all(found["epoch"].is_unique for found in rows.values()) else "step"
    lines = [Line(name, _part(name), found[unit].tolist(), found[name].tolist()) for name, found in rows.items()]
    return Panel(title, lines, unit, best_epoch if unit == "epoch" else None)


def _part(name: str) -> str:
    found = _PART.fullmatch(name)
    return found[1] if found else ""
