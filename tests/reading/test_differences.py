"""Where configs differ: by dotted key, by meaning, a missing key told from null."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepbest.reading.differences import ABSENT, differences, same


def test_values_by_dotted_key():
    config = {"a": {"b": {"c": 1}, "list": [1, {"x": 2}], "none": None}, "empty": {}, "d": "x", 3: True}
    values = {"a.b.c": 1, "a.list": [1, {"x": 2}], "a.none": None, "empty": {}, "d": "x", "3": True}
    assert differences([config, {}]) == {key: [value, ABSENT] for key, value in values.items()}


def test_only_what_differs_and_a_missing_key_is_not_null():
    one = {"model": {"_target_": "A", "width": 4}, "seed": 1, "scheduler": None}
    other = {"model": {"_target_": "B", "depth": 2}, "seed": 1, "scheduler": {"_target_": "S"}}
    third = {"model": {"_target_": "A", "width": 4}, "seed": 1}
    assert differences([one, other, third]) == {
        "model._target_": ["A", "B", "A"],
        "model.depth": [ABSENT, 2, ABSENT],
        "model.width": [4, ABSENT, 4],
        "scheduler": [None, {"_target_": "S"}, ABSENT],
    }


@pytest.mark.parametrize("value", [None, {}, "x"])
def test_a_mapping_that_faces_a_value_is_one_difference(value):
    five, seven = ({"stop": {"patience": patience, "mode": "min"}} for patience in (5, 7))
    assert differences([{"stop": value}, five]) == {"stop": [value, five["stop"]]}
    assert differences([five, {"stop": value}, seven]) == {
        "stop": [five["stop"], value, seven["stop"]],
        "stop.patience": [5, ABSENT, 7],
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


def value_at(config, key):
    for name in key.split("."):
        config = config.get(name, ABSENT) if isinstance(config, dict) else ABSENT
    return config


def keys_of(config, above=""):
    """The keys of all values that are not mappings with something in them."""
    for name, value in config.items():
        yield from keys_of(value, f"{above}{name}.") if isinstance(value, dict) and value else [f"{above}{name}"]


@given(st.lists(configs, min_size=1, max_size=4))
def test_each_difference_is_one_and_none_is_left_out(several):
    found = differences(several)
    for key, values in found.items():
        there = [value_at(config, key) for config in several]
        assert repr(values) == repr(there)
        assert not all(same(values[0], value) for value in values)
    for key in {key for config in several for key in keys_of(config)}:
        values = [value_at(config, key) for config in several]
        is_in_another = any(key.startswith(f"{other}.") for other in found)
        is_different = not all(same(values[0], value) for value in values)
        assert key in found or is_in_another or not is_different


@given(configs)
def test_a_config_does_not_differ_from_itself(config):
    assert differences([config, config]) == {}
