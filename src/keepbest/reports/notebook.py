"""What notebooks show of runs and sweeps: short tables in HTML, every text of other people's escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from keepbest.errors import printable
from keepbest.reports.fitted_table import shortened

_LONGEST_CELL, _LONGEST_FACT = 200, 1000  # characters
_CELL = "padding: 2px 10px 2px 0"
_BEST = "font-weight: bold; background: rgba(0, 158, 115, 0.15)"


def facts_html(title: str, facts: Mapping[str, str]) -> str:
    """Return a title and a table of names and values."""
    rows = "".join(
        f'<tr><td style="{_CELL}; text-align: left; opacity: 0.7">{shown(name)}</td>'
        f'<td style="{_CELL}; text-align: left; white-space: pre-line">{shown(value, _LONGEST_FACT)}</td></tr>'
        for name, value in facts.items()
    )
    return f"<div><b>{shown(title)}</b><table>{rows}</table></div>"


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]], marked: int | None) -> str:
    """Return a table, one row of it marked.

    Args:
        head: the names of the columns.
        rows: the cells.
        marked: the place of the row that stands out; None for none.
    """
    top = "".join(f'<th style="{_CELL}; text-align: right">{shown(name)}</th>' for name in head)
    lines = [
        f'<tr style="{_BEST if place == marked else ""}">'
        + "".join(f'<td style="{_CELL}; text-align: right">{shown(cell)}</td>' for cell in cells)
        + "</tr>"
        for place, cells in enumerate(rows)
    ]
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def shown(text: str, longest: int = _LONGEST_CELL) -> str:
    """Return a text as HTML that says nothing but the text.

    Args:
        text: anybody's.
        longest: how many characters of it there may be.
    """
    return escape(shortened(printable(text), longest))
