"""Tables that fit: the important columns stay, and what is to be copied is never cut."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from keepbest.reports.fitted_table import Column, shortened, show_left_out, show_table

PATH = "outputs/sweeps/2026-11-22_10-00-00_abc123/0"


def shown(columns, width=80, terminal=True):
    console = Console(file=io.StringIO(), width=width, highlight=False, force_terminal=terminal, color_system=None)
    left_out = show_table(columns, console)
    return console.file.getvalue().splitlines(), left_out


def test_the_least_important_has_no_room():
    columns = [Column("path", [PATH, "x"]), Column("a", ["1" * 30, ""], rank=2), Column("b", ["2" * 20, "3"], rank=1)]
    lines, left_out = shown(columns)
    assert left_out == ["a"]
    assert lines == ["path" + " " * (len(PATH) - 4) + "  b", f"{PATH}  {'2' * 20}", "x" + " " * (len(PATH) + 1) + "3"]
    assert shown(columns, width=140)[1] == []
    assert shown(columns, width=20) == (["path", PATH, "x"], ["a", "b"])


def test_without_a_terminal_nothing_is_cut_or_left_out():
    lines, left_out = shown([Column("a", ["x" * 500], rank=3, longest=10), Column("b", ["1"], rank=9)], terminal=False)
    assert lines[1] == f"{'x' * 500}  1"
    assert left_out == []


def test_columns_of_nothing_are_not_shown_and_numbers_stand_right():
    lines, _ = shown([Column("a", ["1", "10"], right=True), Column("b", ["", ""], rank=1)])
    assert lines == [" a", " 1", "10"]


def test_what_had_no_room_is_named_in_one_line():
    console = Console(file=io.StringIO(), width=20, highlight=False, force_terminal=True, color_system=None)
    columns = [Column("", ["*", ""]), Column("epochs", ["1", "2"], 0, True), Column("a\nb" * 9, ["1", "2"], rank=1)]
    show_left_out(show_table(columns, console), console)
    show_left_out([], console)
    lines, name = console.file.getvalue().splitlines(), r"a\nb"
    assert lines == ["   epochs", "*       1", "        2", f"no room for {name * 9}; a pipe has all"]


def test_a_column_without_a_name_or_a_cell_is_none():
    assert shown([Column("", ["", ""]), Column("b", ["1", "2"])]) == (["b", "1", "2"], [])


def test_what_a_terminal_would_obey_is_shown():
    lines, _ = shown([Column("a\x1b[31m", ["[bold]x[/]\x1b]0;evil\x07\r\n\t\u202e"])])
    assert lines == ["a\\x1b[31m", "[bold]x[/]\\x1b]0;evil\\x07\\r\\n\\t\\u202e"]


@given(st.text(), st.integers(3, 30))
def test_a_shortened_text_fits(text, longest):
    assert cell_len(shortened(text, longest)) <= longest


columns = st.builds(
    Column,
    head=st.text("abc漢", max_size=12),
    cells=st.lists(st.text("xyz漢[", max_size=30), min_size=2, max_size=2),
    rank=st.integers(1, 5),
    right=st.booleans(),
    longest=st.none() | st.integers(3, 20),
)


@given(st.lists(columns, max_size=6), st.integers(10, 120))
def test_a_table_fits_a_terminal(others, width):
    lines, _ = shown([Column("p", ["path", "b"]), *others], width)
    assert max(map(cell_len, lines)) <= width
    assert len(lines) == 3
