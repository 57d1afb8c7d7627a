"""What pictures have in common: a figure that notebooks show, axes, and texts of other people in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from keepbest.errors import printable
from keepbest.reports.fitted_table import shortened

LITERAL: dict[str, Any] = {"parse_math": False}
"""For texts that may hold a dollar sign, which is no formula here."""

_BELOW = 0.55  # inches, for the numbers and the name of the axis
_LONGEST_LINE = 66  # characters of a legend that a narrow picture has room for
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


def finish_axes(axes: Any, values: Sequence[float]) -> None:
    """Give the axes of curves over epochs whole numbers below, a grid, and the scale that shows where a descent ends.

    Args:
        axes: matplotlib's, with the curves in them.
        values: all that is drawn.
    """
    from matplotlib.ticker import MaxNLocator

    finite = [value for value in values if abs(value) < float("inf")]
    if finite and min(finite) > 0 and max(finite) > _LOG_FROM * min(finite):
        _use_log_scale(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def add_legend(axes: Any, corner: str = "upper right") -> None:
    """Explain what is drawn: below the axes of a picture of our own, where it hides nothing.

    In the axes of somebody else's figure, which may have no room below, it stands inside on a ground that hides what is
    behind it.

    Args:
        axes: with what is drawn in them.
        corner: where it stands in other people's axes.
    """
    from matplotlib.transforms import ScaledTranslation

    lengths = sorted(map(len, axes.get_legend_handles_labels()[1]))
    look: dict[str, Any] = {"loc": corner, "framealpha": 1, "edgecolor": "none"}
    if isinstance(axes.figure, Picture):
        below = axes.transAxes + ScaledTranslation(0, -_BELOW, axes.figure.dpi_scale_trans)
        look = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below, "frameon": False}
        look["ncols"] = 2 if sum(lengths[-2:]) <= _LONGEST_LINE else 1
    for text in axes.legend(fontsize=8, borderaxespad=0, **look).get_texts():
        text.set_parse_math(False)
        text.set_text(cut(text.get_text(), 60))


def cut(text: str, longest: int = 24) -> str:
    """Return a text in one line of bounded length."""
    return shortened(printable(text).replace("\n", " ").replace("\t", " "), longest)


def _use_log_scale(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
