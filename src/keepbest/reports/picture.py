"""What pictures have in common: a figure that notebooks show, axes, and texts of other people in them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from matplotlib.figure import Figure

from keepbest.errors import printable
from keepbest.reports.fitted_table import shortened

LITERAL: dict[str, Any] = {"parse_math": False}
"""For texts that may hold a dollar sign, which is no formula here."""
SMALLEST = 7.0
"""Points of the smallest text."""

_BELOW = 0.55  # inches, for the numbers and the name of the axis
_HANDLE = 5.0  # times the size of a legend's text: the sign beside it, and the gaps
_LEGEND = 8.0  # points
_SMALL = 250  # points of axes, up to which titles and names are small
_CHARACTER = 0.58  # times the size of a text: the width of a character in the mean
_LOG_FROM = 8  # times the smallest value, from where on equal steps hide the end of a curve


class Picture(Figure):
    """A matplotlib figure that a notebook shows where it is the value of a cell, without pyplot."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png")
        return content.getvalue()


def axes_of(ax: Any, size: tuple[float, float]) -> Any:
    """Return the axes to draw in: those given, or those of a new picture.

    Args:
        ax: a matplotlib Axes, or None.
        size: width and height of a new picture in inches.
    """
    if ax is not None:
        return ax
    return Picture(figsize=size, dpi=110, layout="constrained").add_subplot()


def room_in(axes: Any) -> tuple[float, float]:
    """Return width and height of axes in points, with what is drawn around them now."""
    figure = axes.figure.canvas.figure  # the whole one, of which `axes.figure` may be a part
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    box = axes.get_window_extent()
    return box.width * 72 / figure.dpi, box.height * 72 / figure.dpi


def longest_in(points: float, size: float) -> int:
    """Return how many characters of a text there is room for.

    Args:
        points: the room.
        size: of the text, in points.
    """
    return max(int(points / (_CHARACTER * size)), 1)


def size_in(width: float) -> float:
    """Return the size of titles and names for axes of a width, both in points."""
    return 10 if width > _SMALL else 8


def write_title(axes: Any, text: str, width: float) -> None:
    """Write a title above axes, in as many lines as keep it from what is beside them.

    Args:
        axes: matplotlib's.
        text: its lines, as far as they have room.
        width: the room in points.
    """
    size = size_in(width)
    longest = longest_in(width, size)
    lines = [part for line in text.split("\n") for part in wrap(line, longest)]
    axes.set_title("\n".join(lines), fontsize=size, loc="left", **LITERAL)


def write_names(axes: Any, x: str, y: str, room: tuple[float, float]) -> None:
    """Name both axes as far as there is room, the vertical one in two lines at the most; their numbers have that size.

    Args:
        axes: matplotlib's.
        x: the name of the horizontal one.
        y: that of the vertical one.
        room: in points.
    """
    width, height = room
    size = size_in(width)
    axes.set_xlabel(cut(x, longest_in(width, size)), fontsize=size, **LITERAL)
    longest = longest_in(height, size)
    lines = wrap(cut(y, 2 * longest), longest)
    lines = [*lines[:1], *([cut(" ".join(lines[1:]), longest)] if lines[1:] else [])]
    axes.set_ylabel("\n".join(lines), fontsize=size, **LITERAL)
    axes.tick_params(labelsize=size)


def finish_axes(axes: Any, values: Sequence[float]) -> None:
    """Give the axes of curves over epochs whole numbers below, a grid, and the scale that shows where a descent ends.

    Args:
        axes: matplotlib's, with the curves in them.
        values: all that is drawn.
    """
    finite = [value for value in values if math.isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > _LOG_FROM * min(finite):
        _use_log_scale(axes)
    count_whole(axes)
    finish_look(axes)


def count_whole(axes: Any) -> None:
    """Give the horizontal axis whole numbers, and the width of one at the least."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    low, high = axes.dataLim.intervalx
    if math.isfinite(high - low) and high - low < 1:
        axes.set_xlim((low + high) / 2 - 0.5, (low + high) / 2 + 0.5)


def finish_look(axes: Any) -> None:
    """Give axes a quiet grid, and no frame but the two axes."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def say_instead(axes: Any, text: str) -> None:
    """Write a sentence into axes that have nothing else to show."""
    axes.set(xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(False)
    lines = wrap(cut(text, 200), longest_in(0.9 * room_in(axes)[0], 10))
    axes.text(
        0.5, 0.5, "\n".join(lines), transform=axes.transAxes, ha="center", va="center", fontsize=10, **LITERAL
    )  # fmt: skip


def add_legend(axes: Any, corner: str = "upper right") -> None:
    """Explain what is drawn: below the axes of a picture of our own, where it hides nothing.

    In the axes of somebody else's figure, which may have no room below, it stands inside on a ground that hides what is
    behind it.

    Args:
        axes: with what is drawn in them.
        corner: where it stands in other people's axes.
    """
    from matplotlib.transforms import ScaledTranslation

    width = room_in(axes)[0]
    look: dict[str, Any] = {"loc": corner, "framealpha": 1, "edgecolor": "none"}
    if isinstance(axes.figure, Picture):
        below = axes.transAxes + ScaledTranslation(0, -_BELOW, axes.figure.dpi_scale_trans)
        look = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below, "frameon": False}
        lengths = sorted(min(len(label), 60) for label in axes.get_legend_handles_labels()[1])
        look["ncols"] = 2 if sum(lengths[-2:]) <= longest_in(width - 2 * _HANDLE * _LEGEND, _LEGEND) else 1
    longest = longest_in(width - _HANDLE * _LEGEND, _LEGEND)
    for text in axes.legend(fontsize=_LEGEND, borderaxespad=0, **look).get_texts():
        text.set_parse_math(False)
        text.set_text("\n".join(wrap(cut(text.get_text(), 60), longest)))


def cut(text: str, longest: int = 24) -> str:
    """Return a text in one line of bounded length."""
    return shortened(printable(text).replace("\n", " ").replace("\t", " "), max(longest, 4))


def _use_log_scale(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
