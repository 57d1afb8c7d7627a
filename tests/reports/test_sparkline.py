"""Curves in characters: a line that fits, with what is marked in its place."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepbest.reports.sparkline import ASCII, BLOCKS, NARROWEST, ROWS, glyphs_for, plot

FALL = [4.0, 3.0, 2.0, 1.0, 1.5]


def test_a_picture():
    lines = plot(FALL, 60, ASCII, best=3, stop=4)
    assert lines[0].startswith("          4 |")
    assert lines[ROWS - 1].startswith("          1 |")
    assert lines[-1].rstrip()[-1] == "#"
    assert lines[ROWS - 1][lines[-1].index("^")] in ".:'"


@given(st.lists(st.floats(), max_size=300), st.integers(0, 200), st.sampled_from([ASCII, BLOCKS]))
def test_any_values_fit_in_any_width(values, width, glyphs):
    lines = plot(values, width, glyphs, best=0 if values else None, stop=len(values) - 1 if values else None)
    if width < NARROWEST or not any(map(math.isfinite, values)):
        assert lines == []
    else:
        assert len(lines) == ROWS + 1
        assert max(map(len, lines)) <= width
        assert glyphs.best in lines[-1]


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60), st.integers(40, 120))
def test_the_line_has_no_gap(values, width):
    """Neighbouring columns touch: no step of the curve is lost between them."""
    lines = [line[13:].ljust(width) for line in plot(values, width, ASCII)[:-1]]
    halves = {"'": (0,), ".": (1,), ":": (0, 1), " ": ()}
    spans = []
    for column in range(len(lines[0])):
        drawn = [2 * row + half for row, line in enumerate(lines) for half in halves[line[column]]]
        if drawn:
            assert drawn == list(range(drawn[0], drawn[-1] + 1))
            spans.append((drawn[0], drawn[-1]))
    for (top, bottom), (next_top, next_bottom) in itertools.pairwise(spans):
        assert top <= next_bottom + 1
        assert next_top <= bottom + 1


def test_what_is_not_finite_is_a_gap():
    lines = plot([1.0, math.nan, 1.0, math.inf, 1.0], 80, ASCII)
    assert lines[ROWS - 1][13:].split() == [".", ".", "."]


@pytest.mark.parametrize(("encoding", "glyphs"), [("utf-8", BLOCKS), ("ascii", ASCII), ("latin-1", ASCII),
                                                  (None, ASCII), ("nonsense", ASCII)])  # fmt: skip
def test_only_what_the_output_can_write(encoding, glyphs):
    assert glyphs_for(encoding) is glyphs
