"""The heat map of a sweep: a result over two of its overrides, the best cell marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NUMBER_SIZE, _DIGIT = 9.0, 0.66  # points, and how wide a digit is in sizes
_SHORT = 4  # characters of columns that are left out rather than turned
_LINE = 1.4  # how high a line is in sizes
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

    Good scores are bright. A cell without a value is grey and hatched. The values are written into the cells where they
    have room in a size that can be read. Values that are all the same have no colour bar.
    """
    from keepbest.reports.picture import axes_of, room_in, size_in, write_names, write_title

    axes = axes_of(ax, _size(grid))
    shown = np.ma.masked_invalid(grid.values)
    axes.patch.set(facecolor=_EMPTY, edgecolor="white", hatch="///", linewidth=0)  # seen where a cell is empty
    image = axes.imshow(
        shown, cmap="viridis_r" if grid.lower_is_better else "viridis", origin="lower", aspect="auto", zorder=1
    )
    axes.spines[:].set_visible(False)
    width, height = room_in(axes)
    size = size_in(width)
    if shown.count() and shown.min() < shown.max():
        _add_bar(axes, grid, shown, image, size, height)
    _write_rows(axes, grid, size, (width, height))
    room = room_in(axes)
    _write_columns(axes, grid, size, room)
    write_names(axes, grid.x, grid.y, room)
    write_title(axes, _title(grid), width)
    cell = _cell(axes, grid)
    _frame_best(axes, grid, min(cell))
    _write_numbers(axes, shown, image, cell)
    figure: Figure = axes.figure
    return figure


def _size(grid: Grid) -> tuple[float, float]:
    rows, columns = grid.values.shape
    labels = 0.08 * min(max(map(len, grid.rows), default=0), 24)
    return min(max(2.6 + labels + 0.75 * columns, 5.2), 14), min(max(1.6 + 0.45 * rows, 3.4), 12)


def _add_bar(axes: Any, grid: Grid, shown: Any, image: Any, size: float, height: float) -> None:
    from matplotlib.ticker import MaxNLocator

    from keepbest.reports.picture import LITERAL, cut, longest_in

    bar = axes.figure.colorbar(image, ax=axes)
    if np.array_equal(shown.compressed(), shown.compressed().round()):
        bar.locator = MaxNLocator(integer=True)
        bar.update_ticks()
    bar.ax.tick_params(labelsize=size)
    if axes.figure.get_layout_engine() is not None:  # else it may lie over what is beside it
        bar.set_label(cut(_name(grid), longest_in(height, size)), size=size, **LITERAL)
    bar.outline.set_visible(False)


def _cell(axes: Any, grid: Grid) -> tuple[float, float]:
    """Return width and height of a cell in points."""
    from keepbest.reports.picture import room_in

    (width, height), (rows, columns) = room_in(axes), grid.values.shape
    return width / columns, height / rows


def _frame_best(axes: Any, grid: Grid, cell: float) -> None:
    """Draw a line around the cells with the best score, along the sides on which they have no other of them."""
    from matplotlib.collections import LineCollection

    padded = np.pad(grid.best, 1)
    lower, left = padded[:-1, 1:-1] != padded[1:, 1:-1], padded[1:-1, :-1] != padded[1:-1, 1:]
    sides = [[(start, y), (end, y)] for y, start, end in _runs(lower)]
    sides += [[(x, start), (x, end)] for x, start, end in _runs(left.T)]
    width = min(2.5, max(cell / 6, 1))
    axes.add_collection(
        LineCollection(sides, colors=_MARK, linewidths=width, capstyle="projecting", clip_on=False, zorder=3),
        autolim=False,
    )


def _runs(sides: Any) -> list[tuple[float, float, float]]:
    """Return the unbroken lines among sides of cells: their row, and where they begin and end."""
    steps = np.diff(np.pad(sides, ((0, 0), (1, 1))).astype(int), axis=1)
    rows, starts = np.nonzero(steps > 0)
    _, ends = np.nonzero(steps < 0)
    return [(row - 0.5, start - 0.5, end - 0.5) for row, start, end in zip(rows, starts, ends, strict=True)]


def _write_numbers(axes: Any, shown: Any, image: Any, cell: tuple[float, float]) -> None:
    from keepbest.reports.picture import SMALLEST

    places = list(zip(*np.nonzero(~np.ma.getmaskarray(shown)), strict=True))
    longest = max((len(_number(float(shown[place]))) for place in places), default=1)
    size = min(_NUMBER_SIZE, (cell[0] - 4) / (_DIGIT * longest), cell[1] / _LINE)
    for row, column in places if size >= SMALLEST else []:
        value = float(shown[row, column])
        red, green, blue, _ = image.cmap(image.norm(value))
        colour = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        axes.text(column, row, _number(value), ha="center", va="center", fontsize=size, color=colour, zorder=4)


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e5 else f"{value:.3g}"


def _write_rows(axes: Any, grid: Grid, size: float, room: tuple[float, float]) -> None:
    from keepbest.reports.picture import LITERAL, cut, longest_in

    axes.tick_params(length=0, labelsize=size)
    width, height = room
    rows = [cut(text, min(longest_in(width / 3, size), 24)) for text in grid.rows]
    step = _step(height / len(rows), _LINE * size)
    axes.set_yticks(range(0, len(rows), step), rows[::step], **LITERAL)


def _write_columns(axes: Any, grid: Grid, size: float, room: tuple[float, float]) -> None:
    """Write as many values below the columns as have room; long ones are turned."""
    from keepbest.reports.picture import LITERAL, cut, longest_in

    width, height = room
    cell = width / len(grid.columns)
    columns = [cut(text, min(longest_in(height / 3, size), 24)) for text in grid.columns]
    step = _step(cell, (_DIGIT * max(map(len, columns)) + 0.6) * size)
    turned: dict[str, Any] = {}
    if step > 1 and max(map(len, columns)) > _SHORT:
        step, turned = _step(cell, 1.5 * _LINE * size), {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(0, len(columns), step), columns[::step], **turned, **LITERAL)


def _step(cell: float, label: float) -> int:
    """Return which of all labels have room: each first, second, and so on."""
    return max(math.ceil(label / cell), 1)


def _title(grid: Grid) -> str:
    """Return what the cells hold, and where the best is."""
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
    return "\n".join(lines)


def _name(grid: Grid) -> str:
    return grid.name if not grid.counts or grid.counts[-1] == 1 else f"{grid.name} ({grid.aggregate})"
