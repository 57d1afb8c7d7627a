"""What pages are made of: plain data for the templates."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from keepbest.errors import KeepbestError, RecordError
from keepbest.reading.telling import telling
from keepbest.reports.picture import cut

_LONGEST_CELL, _LONGEST_REASON = 48, 1000  # characters
_MOST_DECIMALS = 6


class Tile(NamedTuple):
    """A number that stands out, what it is, and a word about it."""

    label: str
    value: str
    note: str = ""


class Section(NamedTuple):
    """What a part of a page shows, or why it cannot.

    Args:
        content: pictures, rows or text; None where there is none.
        reason: why not, as a sentence.
    """

    content: Any
    reason: str = ""


class Cell(NamedTuple):
    """A cell of a table.

    Args:
        text: what it shows.
        value: what it is sorted by, as a script reads numbers; empty where the text will do.
        whole: the text before it was cut; empty where it is whole.
    """

    text: str
    value: str = ""
    whole: str = ""


class Column(NamedTuple):
    """A column of a table.

    Args:
        name: its head.
        is_number: whether it is sorted, and aligned, as numbers.
        whole: what the name is short for.
        first: the direction in which it is sorted first.
    """

    name: str
    is_number: bool
    whole: str = ""
    first: str = "ascending"


class Attempts:
    """Makes the parts of a page: a damaged file must not take the rest of it with it.

    Args:
        directory: what the page is about, absolute.
        shown: the same as a person would write it, as reasons show it.
    """

    def __init__(self, directory: Path, shown: Path) -> None:
        self._directory, self._shown = directory, shown

    def __call__(self, make: Callable[[], Any], what: str) -> Section:
        """Return what `make` returns, or why it is not there.

        Args:
            make: reads and draws.
            what: for a reason that keepbest does not word itself, as the subject of a sentence.
        """
        try:
            with telling(RecordError, f"{what} must be there to be shown"):
                return Section(make())
        except KeepbestError as error:
            return Section(None, self.worded(error))

    def worded(self, error: Exception) -> str:
        """Return what an error says, without the directories above."""
        return cut(str(error).replace(str(self._directory), str(self._shown)), _LONGEST_REASON)


def column_of(name: str, values: Sequence[Any], *, whole: str = "", first: str = "ascending") -> Column:
    """Return the column that holds these values: of numbers, where all of them are."""
    given = [value for value in values if value is not None]
    return Column(cut(name), bool(given) and all(map(_is_number, given)), whole, first)


def cells_of(values: Sequence[Any], alike: Sequence[Any] = ()) -> list[Cell]:
    """Return the cells of a column.

    Args:
        values: numbers, texts, truth values; None is an empty cell.
        alike: what is to be compared with these at a glance, often themselves: the decimals that show all of it are
            those of each number. Without it each has its own.
    """
    decimals = _decimals([float(value) for value in alike if _is_number(value)])
    return [_cell(value, decimals) for value in values]


def relative_link(target: Path, page: Path) -> str:
    """Return the address of a file as a page links to it, whatever characters its path has."""
    return f"./{quote(Path(os.path.relpath(target, page.resolve().parent)).as_posix())}"


def picture(svg: Markup, caption: str = "") -> dict[str, Any]:
    """Return a picture with the sentence that stands below it."""
    return {"svg": svg, "caption": caption}


def _cell(value: Any, decimals: int | None) -> Cell:
    if value is None:
        return Cell("")
    if not _is_number(value):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        short = cut(text, _LONGEST_CELL)
        return Cell(short, "", text[:_LONGEST_REASON] if short != text else "")
    if math.isnan(value):
        return Cell("nan")
    exact = repr(value).replace("inf", "Infinity")
    if decimals is not None and math.isfinite(value):
        return Cell(f"{value:.{decimals}f}", exact)
    return Cell(f"{value:.6g}" if isinstance(value, float) else cut(str(value)), exact)


def _decimals(values: Sequence[float]) -> int | None:
    """Return how many decimals show five digits of the smallest number; None where that would be out of hand."""
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    if not sizes or max(sizes) >= 1e6 or min(sizes) < 1e-4:
        return None
    return min(max(4 - math.floor(math.log10(min(sizes))), 0), _MOST_DECIMALS)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
