"""The heat map of a sweep: a result over two of its overrides, the best cell marked."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NUMBERS = 150  # cells that get their value written into them, or a frame around
_MOST_TICKS = 40
_CHARACTERS_PER_INCH = 11  # of a title, beside the colour bar
_EMPTY, _MARK = "#d9d9d9", "#D55E00"


class Grid(NamedTuple):
    """What a heat map shows.

    Args:
        x: the name of the horizontal axis.
        y: the name of the vertical axis.
        columns: the values along the horizontal axis.
        rows: the values along the vertical axis, the lowest first.
        values: a number per row and column, NaN where there is none.
        best: which cells have the best score.
        name: what the numbers are.
        monitor: the metric that decides what is best.
        aggregate: how several jobs became one number.
        counts: how many jobs the cells have, each count once.
        lower_is_better: whether a low number is a good one.
    """

    x: str
    y: str
    columns: Sequence[str]
    rows: Sequence[str]
    values: np.ndarray[Any, Any]
    best: np.ndarray[Any, Any]
    name: str
    monitor: str
    aggregate: str
    counts: Sequence[int]
    lower_is_better: bool


def draw_heatmap(grid: Grid, ax: Any = None) -> Figure:
    """Draw a grid into the axes, or into a new figure; return the figure.

    Good scores are bright. A cell without a value is grey and hatched.
    """
    from keepbest.reports.picture import LITERAL, axes_of, cut

    axes = axes_of(ax, _size(grid))
    shown = np.ma.masked_invalid(grid.values)
    axes.patch.set(facecolor=_EMPTY, edgecolor="white", hatch="///", linewidth=0)  # seen where a cell is empty
    image = axes.imshow(
        shown, cmap="viridis_r" if grid.lower_is_better else "viridis", origin="lower", aspect="auto", zorder=1
    )
    _mark_best(axes, grid)
    if grid.values.size <= _MOST_NUMBERS:
        _write_numbers(axes, shown, image)
    _ticks(axes, grid)
    axes.set_xlabel(cut(grid.x, 60), **LITERAL)
    axes.set_ylabel(cut(grid.y, 60), **LITERAL)
    axes.set_title(_title(grid, axes.figure.get_size_inches()[0]), fontsize=10, loc="left", **LITERAL)
    bar = axes.figure.colorbar(image, ax=axes)
    bar.set_label(cut(_name(grid), 60), **LITERAL)
    bar.outline.set_visible(False)
    axes.spines[:].set_visible(False)
    figure: Figure = axes.figure
    return figure


def _size(grid: Grid) -> tuple[float, float]:
    rows, columns = grid.values.shape
    labels = 0.08 * min(max(map(len, grid.rows), default=0), 24)
    return min(max(2.6 + labels + 0.75 * columns, 5.2), 14), min(max(1.6 + 0.45 * rows, 3.4), 12)


def _mark_best(axes: Any, grid: Grid) -> None:
    from matplotlib.patches import Rectangle

    for row, column in list(zip(*np.nonzero(grid.best), strict=True))[:_MOST_NUMBERS]:
        axes.add_patch(
            Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=_MARK, lw=2.5, zorder=3)
        )


def _write_numbers(axes: Any, shown: Any, image: Any) -> None:
    size = 9 if shown.shape[1] <= 10 else 7
    for row, column in zip(*np.nonzero(~np.ma.getmaskarray(shown)), strict=True):
        value = float(shown[row, column])
        red, green, blue, _ = image.cmap(image.norm(value))
        colour = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        axes.text(column, row, _number(value), ha="center", va="center", fontsize=size, color=colour, zorder=4)


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e5 else f"{value:.3g}"


def _ticks(axes: Any, grid: Grid) -> None:
    from keepbest.reports.picture import LITERAL, cut

    columns, rows = [cut(text) for text in grid.columns], [cut(text) for text in grid.rows]
    step = -(-len(columns) // _MOST_TICKS)
    long = max(map(len, columns), default=0) > 7 or len(columns) > 12
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if long else {}
    axes.set_xticks(range(0, len(columns), step), columns[::step], **turned, **LITERAL)
    step = -(-len(rows) // _MOST_TICKS)
    axes.set_yticks(range(0, len(rows), step), rows[::step], **LITERAL)
    axes.tick_params(length=0)


def _title(grid: Grid, width: float) -> str:
    """Return what the cells hold, and where the best is, in lines for a figure of that many inches."""
    from keepbest.reports.picture import cut

    low, high = (grid.counts[0], grid.counts[-1]) if grid.counts else (0, 0)
    if high == 1:
        jobs = "one job per cell"
    else:
        jobs = f"{grid.aggregate} of {low if low == high else f'{low} to {high}'} jobs per cell"
    lines = [f"{cut(grid.name, 40)}, {jobs}"]
    places = list(zip(*np.nonzero(grid.best), strict=True))
    if places:
        row, column = places[0]
        where = f"{cut(grid.x)}={cut(grid.columns[column])}, {cut(grid.y)}={cut(grid.rows[row])}"
        more = "" if len(places) == 1 else f", and {len(places) - 1} equal"
        lines.append(f"framed: best {cut(grid.monitor)}, {where}{more}")
    return "\n".join(part for line in lines for part in wrap(line, int(_CHARACTERS_PER_INCH * width)))


def _name(grid: Grid) -> str:
    return grid.name if not grid.counts or grid.counts[-1] == 1 else f"{grid.name} ({grid.aggregate})"
