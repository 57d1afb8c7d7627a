"""Small pictures of the metrics that a training recorded: what belongs together shares one."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keepbest.records.metrics_table import RecordedCheck
from keepbest.records.run_record import RunRecord
from keepbest.reports.curve import best_place, is_by_epoch, nothing_finite
from keepbest.reports.picture import cut, finish_axes, room_in, say_instead, write_title

if TYPE_CHECKING:
    import pandas as pd

MOST_PANELS = 6
_PART = re.compile(r"(train|val|valid|validation|test)[_/](.+)", re.DOTALL)
# Of Okabe and Ito's palette, told apart by the colour-blind, and by their dashes
_COLOURS, _BEST = ("#0072B2", "#E69F00", "#CC79A7", "#D55E00"), "#009E73"
_DASHES: tuple[Any, ...] = ("-", "--", ":", (0, (5, 1, 1, 1)))
_OWN = {"val": 0, "valid": 0, "validation": 0, "train": 1, "test": 2}  # places among the styles


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


def draw_panel(panel: Panel, axes: Any) -> None:
    """Draw a panel into axes."""
    lines = [line for line in panel.lines if any(map(math.isfinite, line.values))]
    if lines:
        _draw(panel, lines, axes)
    else:
        say_instead(axes, nothing_finite(panel.name))
    axes.set_xlabel(panel.unit, fontsize=9)
    write_title(axes, cut(panel.name, 40), room_in(axes)[0])


def _draw(panel: Panel, lines: Sequence[Line], axes: Any) -> None:
    for line, (colour, dashes) in zip(lines, _styles(lines), strict=True):
        look: dict[str, Any] = {"ls": dashes, "color": colour, "lw": 1.5}
        alone = "o" if len(line.values) == 1 else ""
        axes.plot(line.places, line.values, marker=alone, **look, label=cut(line.name, 32).lstrip("_"))
    if panel.best is not None:
        axes.axvline(panel.best, color=_BEST, lw=1, alpha=0.8, label="best")
    finish_axes(axes, [value for line in lines for value in line.values])
    axes.tick_params(labelsize=8.5)
    for text in axes.legend(frameon=False, fontsize=8).get_texts():
        text.set_parse_math(False)


def _styles(lines: Sequence[Line]) -> list[tuple[str, Any]]:
    """Return a style for each line, no two the same: that of its part, where no other line has it."""
    shifted = product(range(len(_COLOURS)), range(len(_DASHES)))
    styles = [(_COLOURS[place], _DASHES[(place + shift) % len(_DASHES)]) for shift, place in shifted]
    chosen: dict[int, tuple[str, Any]] = {}
    for number, line in enumerate(lines):
        own = _OWN.get(line.part)
        if own is not None and styles[own] not in chosen.values():
            chosen[number] = styles[own]
    free = (style for style in styles if style not in chosen.values())
    return [chosen[number] if number in chosen else next(free) for number in range(len(lines))]


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
