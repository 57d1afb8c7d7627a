"""Tables in the terminal: what has no room is left out by name; what is to be copied is cut last, at its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from keepbest.errors import printable

_GAP = "  "
_SHORTEST = 12  # characters of a cell that is cut
UNLIMITED = 1_000_000
"""Characters of a line where no terminal limits them: what is piped is not cut."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        head: its name.
        cells: a text for each row.
        rank: which columns stay where there is little room: those of the lowest rank, and of rank 0 always.
        right: whether it is aligned to the right, as numbers are.
        longest: characters of a cell that a terminal shows; None for all of them, for what is to be copied.
        yields_to: the rank up to which the others come first: a terminal without room for them shows the end of the
            cells; None shows them whole.
    """

    head: str
    cells: Sequence[str]
    rank: int = 0
    right: bool = False
    longest: int | None = None
    yields_to: int | None = None


def terminal_width(console: Console) -> int:
    """Return how many characters a line may have: any number where the output is no terminal."""
    return console.width if console.is_terminal else UNLIMITED


def show_table(columns: Sequence[Column], console: Console, *, styles: Sequence[str] = ()) -> list[str]:
    """Print a table, without the columns that are empty.

    Args:
        columns: of the table, in their order.
        console: where to.
        styles: of the rows, in rich's words; none for plain ones.

    Returns:
        The names of the columns that had no room.
    """
    full = [
        replace(one, head=one_line(one.head), cells=[one_line(cell) for cell in one.cells])
        for one in columns
        if any(one.cells) or (one.rank == 0 and one.head)
    ]
    widths = _fitting(full, terminal_width(console))
    kept = [(column, width) for column, width in zip(full, widths, strict=True) if width]
    console.print(Text(_row(kept, None).rstrip(), style="dim"), soft_wrap=True)
    for number in range(len(full[0].cells) if full else 0):
        style = styles[number] if styles else ""
        console.print(Text(_row(kept, number).rstrip(), style=style), soft_wrap=True)
    return [column.head for column, width in zip(full, widths, strict=True) if not width]


def show_left_out(names: Sequence[str], console: Console, where: str = "a pipe has all") -> None:
    """Print which columns had no room, and where they are; nothing where all had.

    Args:
        names: what `show_table` returned.
        console: where to.
        where: the rest of the sentence.
    """
    if names:
        line = f"no room for {', '.join(map(one_line, names))}; {where}"
        console.print(Text(line, style="dim"), soft_wrap=True)


def one_line(text: str) -> str:
    """Return a text without line ends and tabs, and with escapes in place of what a terminal would obey."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def shortened(text: str, longest: int) -> str:
    """Return a text that takes no more characters of a terminal than that."""
    return text if cell_len(text) <= longest else f"{set_cell_size(text, max(longest - 3, 0))}..."


def _end_of(text: str, longest: int) -> str:
    """Return a text that takes no more characters of a terminal than that, without its beginning if need be."""
    if cell_len(text) <= longest:
        return text
    while cell_len(text) > max(longest - 3, 0):
        text = text[1:]
    return f"...{text}"


def _fitting(columns: Sequence[Column], room: int) -> list[int]:
    """Return the width of each column, 0 for one that has no room; the important ones get theirs first."""
    left, widths = room + len(_GAP), [0] * len(columns)
    for place in sorted(range(len(columns)), key=lambda place: columns[place].rank):
        column = columns[place]
        wanted = _width(column, room)
        if column.yields_to is not None:
            before = [_width(one, room) + len(_GAP) for one in columns if 0 < one.rank <= column.yields_to]
            wanted = max(min(wanted, room - sum(before)), min(wanted, _SHORTEST))
        is_cut = column.longest is not None and room < UNLIMITED
        if is_cut and wanted + len(_GAP) > left >= _SHORTEST + len(_GAP):
            wanted = left - len(_GAP)
        if column.rank == 0 or wanted + len(_GAP) <= left:
            widths[place] = wanted
            left -= wanted + len(_GAP)
    return widths


def _width(column: Column, room: int) -> int:
    """Return how many characters a column would take."""
    whole = max(map(cell_len, (column.head, *column.cells)))
    return whole if column.longest is None or room >= UNLIMITED else min(whole, column.longest)


def _row(kept: Sequence[tuple[Column, int]], number: int | None) -> str:
    """Return a line of the table; the heads where there is no number."""
    cells = []
    for column, width in kept:
        text = column.head if number is None else column.cells[number]
        text = shortened(text, width) if column.yields_to is None else _end_of(text, width)
        space = " " * (width - cell_len(text))
        cells.append(f"{space}{text}" if column.right else f"{text}{space}")
    return _GAP.join(cells)
