"""What pictures have in common: a figure that notebooks show, and texts of other people in it."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure

from keepbest.errors import printable

LITERAL: dict[str, Any] = {"parse_math": False}
"""For texts that may hold a dollar sign, which is no formula here."""


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


def cut(text: str, longest: int = 24) -> str:
    """Return a text in one line of bounded length."""
    text = printable(text).replace("\n", " ").replace("\t", " ")
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
