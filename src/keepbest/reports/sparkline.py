"""A curve in characters, for the terminal: a line of half blocks, or of ASCII where the output has no blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ROWS = 8
NARROWEST = 30
_WIDEST, _WIDEST_STEP = 100, 8
_LABEL = 11  # characters of a number on the vertical axis


@dataclass(frozen=True)
class Glyphs:
    """The characters of a plot: a cell whose upper half is drawn, whose lower one, or both; the axis; the marks."""

    upper: str
    lower: str
    both: str
    wall: str
    floor: str
    corner: str
    best: str
    stop: str


BLOCKS = Glyphs("▀", "▄", "█", "│", "─", "└", "▲", "■")
ASCII = Glyphs("'", ".", ":", "|", "-", "+", "^", "#")


def glyphs_for(encoding: str | None) -> Glyphs:
    """Return the characters that an encoding has."""
    try:
        "".join(vars(BLOCKS).values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def plot(
    values: Sequence[float], width: int, glyphs: Glyphs, *, best: int | None = None, stop: int | None = None
) -> list[str]:
    """Return the lines of a plot of values, one after the other from left to right.

    Where there are more values than columns, a column shows the range of its values. What is not finite is left out.

    Args:
        values: a value for each check.
        width: characters of a line at the most.
        glyphs: what is drawn with.
        best: the place of the value to mark below the axis as the best.
        stop: the place of the value to mark below the axis as the last.

    Returns:
        The lines, without what follows from the values: none where there is nothing to draw, or no room for it.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite or width < NARROWEST:
        return []
    low, high = min(finite), max(finite)
    columns = _columns(len(values), min(width - _LABEL - 2, _WIDEST))
    canvas = _canvas(_spans(values, columns, low, high))
    labels = {0: f"{high:.4g}", ROWS - 1: f"{low:.4g}"} if high > low else {ROWS - 1: f"{low:.4g}"}
    lines = [
        f"{labels.get(row, ''):>{_LABEL}} {glyphs.wall}{_cells(canvas[2 * row], canvas[2 * row + 1], glyphs)}".rstrip()
        for row in range(ROWS)
    ]
    lines.append(f"{'':>{_LABEL}} {glyphs.corner}{_floor(len(values), columns, glyphs, best, stop)}")
    return lines


def _columns(count: int, most: int) -> int:
    """Return how many columns there are: whole ones between two values, where there is room."""
    step = min(_WIDEST_STEP, most // max(count, 1))
    return (count - 1) * step + 1 if step else most


def _spans(values: Sequence[float], columns: int, low: float, high: float) -> list[tuple[int, int] | None]:
    """Return for each column the highest and the lowest half row that is drawn; None for a column without a value.

    Neighbouring values are joined, so that a steep fall is a line, too.
    """
    inside: list[list[float]] = [[] for _ in range(columns)]
    previous: tuple[int, float] | None = None
    for place, value in enumerate(values):
        if not math.isfinite(value):
            previous = None
            continue
        column, level = _column(place, len(values), columns), _level(value, low, high)
        inside[column].append(level)
        if previous is not None:
            _join(inside, previous, (column, level))
        previous = column, level
    return [(round(min(levels)), round(max(levels))) if levels else None for levels in inside]


def _join(inside: list[list[float]], one: tuple[int, float], other: tuple[int, float]) -> None:
    """Draw the line between two values: where it leaves a column, it enters the next."""
    (first, start), (last, end) = one, other
    steps = last - first
    for step in range(steps):
        between = start + (end - start) * (step + 0.5) / steps
        inside[first + step].append(between)
        inside[first + step + 1].append(between)
    if not steps:
        inside[first] += [start, end]


def _level(value: float, low: float, high: float) -> float:
    """Return the half row of a value, counted from the top."""
    if high == low:
        return float(2 * ROWS - 1)
    return (high / 2 - value / 2) / (high / 2 - low / 2) * (2 * ROWS - 1)  # halves: the range may exceed a float


def _canvas(spans: Sequence[tuple[int, int] | None]) -> list[list[bool]]:
    return [[span is not None and span[0] <= half <= span[1] for span in spans] for half in range(2 * ROWS)]


def _cells(upper: Sequence[bool], lower: Sequence[bool], glyphs: Glyphs) -> str:
    kinds = {(True, True): glyphs.both, (True, False): glyphs.upper, (False, True): glyphs.lower}
    return "".join(kinds.get(pair, " ") for pair in zip(upper, lower, strict=True))


def _floor(count: int, columns: int, glyphs: Glyphs, best: int | None, stop: int | None) -> str:
    floor = [glyphs.floor] * columns
    for place, glyph in ((stop, glyphs.stop), (best, glyphs.best)):
        if place is not None:
            floor[_column(place, count, columns)] = glyph
    return "".join(floor)


def _column(place: int, count: int, columns: int) -> int:
    return round(place * (columns - 1) / max(count - 1, 1))
