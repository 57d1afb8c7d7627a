"""Where configs differ: by dotted key, by meaning, a missing key told from null."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepbest.reading.differences import ABSENT, differences, flattened, same


def test_values_by_dotted_key():
    config = {"a": {"b": {"c": 1}, "list": [1, {"x": 2}], "none": None}, "empty": {}, "d": "x", 3: True}
    assert flattened(config) == {"a.b.c": 1, "a.list": [1, {"x": 2}], "a.none": None, "empty": {}, "d": "x", "3": True}


def test_only_what_differs_and_a_missing_key_is_not_null():
    one = {"model": {"_target_": "A", "width": 4}, "seed": 1, "scheduler": None}
    other = {"model": {"_target_": "B", "depth": 2}, "seed": 1, "scheduler": {"_target_": "S"}}
    third = {"model": {"_target_": "A", "width": 4}, "seed": 1}
    assert differences([one, other, third]) == {
        "model._target_": ["A", "B", "A"],
        "model.depth": [ABSENT, 2, ABSENT],
        "model.width": [4, ABSENT, 4],
        "scheduler._target_": [ABSENT, "S", ABSENT],
        "scheduler": [None, ABSENT, ABSENT],
    }


SAME = {
    "whole and broken numbers": (0, 0.0, True),
    "a truth value is no number": (True, 1, False),
    "nor is zero": (0, False, False),
    "NaN": (math.nan, math.nan, True),
    "lists of them": ([1, math.nan], [1.0, math.nan], True),
    "lists of other lengths": ([1], [1, 1], False),
    "a text is no number": ("1", 1, False),
    "null and nothing": (None, ABSENT, False),
    "mappings in lists": ([{"a": 1}], [{"a": 1.0}], True),
    "other mappings": ({"a": 1}, {"b": 1}, False),
}


@pytest.mark.parametrize(("one", "other", "are_same"), SAME.values(), ids=SAME)
def test_values_are_compared_by_what_they_mean(one, other, are_same):
    assert same(one, other) is are_same
    assert same(other, one) is are_same


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text("ab", max_size=2)
configs = st.recursive(
    st.dictionaries(st.sampled_from("abc"), scalars, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), scalars | inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(configs, min_size=1, max_size=4))
def test_each_difference_is_one_and_none_is_left_out(several):
    flat = [flattened(config) for config in several]
    found = differences(several)
    for key in {key for values in flat for key in values}:
        values = [one.get(key, ABSENT) for one in flat]
        differs = any(not same(values[0], value) for value in values)
        assert (key in found) is differs
        if differs:
            assert repr(found[key]) == repr(values)


@given(configs)
def test_a_config_does_not_differ_from_itself(config):
    assert differences([config, config]) == {}
