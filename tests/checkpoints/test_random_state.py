"""The state of the random number generators is plain data, and each goes on from it exactly."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keepbest.checkpoints.random_state import random_state, restore_random_state

Same = Callable[[Any, Any], bool]

DRAWS: dict[str, Callable[[], object]] = {
    "python": random.random,
    "python's normal, which makes two at a time": lambda: random.gauss(0, 1),
    "numpy": lambda: np.random.random(3).tolist(),
    "numpy's normal, which makes two at a time": np.random.normal,
    "numpy's integers": lambda: np.random.randint(1000),
    "torch": lambda: torch.rand(3).tolist(),
    "torch's normal": lambda: torch.randn(20).tolist(),
    "torch's permutation": lambda: torch.randperm(10).tolist(),
}


@pytest.fixture(autouse=True)
def _generators_as_before() -> Iterator[None]:
    before = random_state()
    yield
    restore_random_state(before)


def draw_all() -> list[object]:
    return [draw() for draw in DRAWS.values()]


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """Save and load safely."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@settings(deadline=None, database=None, derandomize=True, max_examples=40)
@given(st.lists(st.sampled_from(list(DRAWS))), st.lists(st.sampled_from(list(DRAWS)), min_size=1))
def test_every_generator_goes_on_where_it_was(before: list[str], afterwards: list[str]) -> None:
    for name in before:
        DRAWS[name]()
    state = through_a_file(random_state())
    first = [DRAWS[name]() for name in afterwards]
    draw_all()
    restore_random_state(state)
    assert [DRAWS[name]() for name in afterwards] == first


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_changes_the_state_that_is_saved(name: str, same: Same) -> None:
    before = random_state()
    DRAWS[name]()
    assert not same(before, random_state()), "otherwise the round trip proves nothing about it"


def test_the_second_of_two_normal_numbers_is_part_of_the_state() -> None:
    np.random.seed(0)
    random.seed(0)
    np.random.normal(), random.gauss(0, 1)
    state = random_state()
    expected = np.random.normal(), random.gauss(0, 1)
    np.random.seed(1)
    random.seed(1)
    restore_random_state(state)
    assert (np.random.normal(), random.gauss(0, 1)) == expected


def test_a_saved_state_is_not_moved_by_what_is_drawn_later(same: Same) -> None:
    state = random_state()
    copy = through_a_file(state)
    draw_all()
    assert same(state, copy)


def test_restoring_twice_gives_the_same_numbers_twice() -> None:
    state = random_state()
    restore_random_state(state)
    first = draw_all()
    restore_random_state(state)
    assert draw_all() == first


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.Philox, np.random.SFC64])
def test_numpys_global_generator_may_be_of_another_kind(kind: Any) -> None:
    usual = np.random.get_bit_generator()
    np.random.set_bit_generator(kind(3))
    try:
        np.random.normal()
        state = through_a_file(random_state())
        first = np.random.normal(size=3).tolist()
        restore_random_state(state)
        assert np.random.normal(size=3).tolist() == first
    finally:
        np.random.set_bit_generator(usual)


def test_the_state_of_a_device_that_is_gone_is_left_out() -> None:
    state = random_state()
    expected = draw_all()
    a_device_more = torch.zeros(16, dtype=torch.uint8)
    restore_random_state({**state, "cuda": [*state["cuda"], a_device_more]})
    assert draw_all() == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_devices_go_on_where_they_were_whatever_other_devices_there_are() -> None:
    def draw() -> list[list[float]]:
        return [torch.rand(3, device=f"cuda:{number}").tolist() for number in range(torch.cuda.device_count())]

    state = through_a_file(random_state())
    first, second = draw(), draw()
    restore_random_state(state)
    assert draw() == first
    restore_random_state({**state, "cuda": []})
    assert draw() == second
    restore_random_state({**state, "cuda": [*state["cuda"], state["cuda"][0]]})
    assert draw() == first


@pytest.mark.skipif(not torch.backends.mps.is_available(), reason="needs Apple's GPU")
def test_mps_goes_on_where_it_was() -> None:
    state = through_a_file(random_state())
    first = torch.rand(3, device="mps").tolist()
    restore_random_state(state)
    assert torch.rand(3, device="mps").tolist() == first
