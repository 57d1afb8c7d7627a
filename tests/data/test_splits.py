"""Held-out samples: counted exactly, drawn at random, in proportion to the classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepbest.data.splits import hold_out


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.floats(0, 1), st.integers(0, 1000))
def test_stratified_hold_out_is_a_partition_that_gives_each_class_its_share(
    labels: list[int], fraction: float, seed: int
) -> None:
    classes, count = np.array(labels), round(fraction * len(labels))
    rest, held_out = hold_out(np.arange(len(labels)), count, np.random.default_rng(seed), classes)
    assert len(held_out) == count
    assert sorted([*rest, *held_out]) == list(range(len(labels)))
    for label, size in zip(*np.unique(classes, return_counts=True), strict=True):
        share = size * count / len(labels)
        assert np.floor(share) <= np.sum(classes[held_out] == label) <= np.ceil(share)


def test_hold_out_divides_the_indices_that_it_is_given() -> None:
    rest, held_out = hold_out(np.array([3, 5, 8, 9]), 2, np.random.default_rng(0), np.zeros(10))
    assert sorted([*rest, *held_out]) == [3, 5, 8, 9]


@pytest.mark.parametrize("classes", [None, np.arange(1000) % 2])
def test_every_sample_is_equally_likely_to_be_held_out(classes: np.ndarray | None) -> None:
    rng = np.random.default_rng(0)
    times = np.zeros(1000)
    for _ in range(200):
        times[hold_out(np.arange(1000), 250, rng, classes)[1]] += 1
    assert times.mean() == 50
    assert abs(times - 50).max() < 5 * np.sqrt(200 * 0.25 * 0.75)
