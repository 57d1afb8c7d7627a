"""What "better" means, in one table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepbest.stopping.comparison import MODES, Mode, is_better

INF, NAN = math.inf, math.nan
BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))
NINE_TENTHS = float(np.float32(0.9))  # as a tensor's `.item()` gives it

# value, reference, min_delta, better when lower is better, better when higher is
TABLE = {
    "lower": (1.0, 2.0, 0.0, True, False),
    "higher": (2.0, 1.0, 0.0, False, True),
    "a tie": (1.0, 1.0, 0.0, False, False),
    "two zeros": (-0.0, 0.0, 0.0, False, False),
    "one step of float32": (BELOW_ONE, 1.0, 0.0, True, False),
    "lower by more than min_delta": (0.25, 1.0, 0.5, True, False),
    "lower by exactly min_delta": (0.5, 1.0, 0.5, False, False),
    "lower by less than min_delta": (0.75, 1.0, 0.5, False, False),
    "higher by more than min_delta": (1.75, 1.0, 0.5, False, True),
    "higher by exactly min_delta": (1.5, 1.0, 0.5, False, False),
    "exactly min_delta in float32 only": (NINE_TENTHS, 1.0, 0.0999999999, False, False),
    "nothing before": (1.0, None, 0.0, True, True),
    "nothing before, large min_delta": (1.0, None, 1e9, True, True),
    "inf, nothing before": (INF, None, 0.0, False, True),
    "-inf, nothing before": (-INF, None, 0.0, True, False),
    "NaN, nothing before": (NAN, None, 0.0, False, False),
    "NaN": (NAN, 1.0, 0.0, False, False),
    "against NaN": (1.0, NAN, 0.0, False, False),
    "inf": (INF, 1.0, 0.0, False, True),
    "-inf": (-INF, 1.0, 0.0, True, False),
    "against inf": (1.0, INF, 0.0, True, False),
    "inf against inf": (INF, INF, 0.0, False, False),
}


@pytest.mark.parametrize(("value", "reference", "min_delta", "lower", "higher"), TABLE.values(), ids=TABLE)
def test_better_is_strict_and_exceeds_min_delta(
    value: float, reference: float | None, min_delta: float, lower: bool, higher: bool
) -> None:
    assert is_better(value, reference, "min", min_delta) is lower
    assert is_better(value, reference, "max", min_delta) is higher


VALUES = st.floats(width=32)


@given(VALUES, VALUES, st.sampled_from(MODES), st.floats(0, 10, width=32))
def test_of_two_values_one_is_better_at_the_most(a: float, b: float, mode: Mode, min_delta: float) -> None:
    assert not (is_better(a, b, mode, min_delta) and is_better(b, a, mode, min_delta))


@given(VALUES, VALUES, st.floats(0, 10, width=32))
def test_both_modes_are_mirror_images(a: float, b: float, min_delta: float) -> None:
    assert is_better(a, b, "min", min_delta) == is_better(-a, -b, "max", min_delta)


@given(VALUES, VALUES)
def test_without_min_delta_it_is_the_plain_comparison(a: float, b: float) -> None:
    assert is_better(a, b, "min") == (a < b)
    assert is_better(a, b, "max") == (a > b)
