"""Generators that an object keeps for itself are put back to where they stood."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from keepbest.guards.own_generators import own_generators_restored

# a generator of each kind, and how to draw from it
KINDS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "torch": (lambda: torch.Generator().manual_seed(1), lambda own: torch.rand(1, generator=own).item()),
    "NumPy": (lambda: np.random.default_rng(1), lambda own: own.random()),
    "NumPy's old one": (lambda: np.random.RandomState(1), lambda own: own.rand()),
    "Python": (lambda: random.Random(1), lambda own: own.random()),
}
PLACES: dict[str, Callable[[Any], Any]] = {
    "itself": lambda own: own,
    "an attribute": lambda own: SimpleNamespace(rng=own),
    "deep inside": lambda own: SimpleNamespace(parts=[{"transform": (SimpleNamespace(rng=own),)}]),
}


@pytest.mark.parametrize(("make", "draw"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_the_next_number_is_the_one_it_would_have_been(
    make: Callable[[], Any], draw: Callable[[Any], Any], place: Callable[[Any], Any]
) -> None:
    own, untouched = make(), make()
    draw(own), draw(untouched)
    with own_generators_restored(place(own)):
        draw(own), draw(own)
    assert draw(own) == draw(untouched)


def test_an_error_restores_too() -> None:
    own = random.Random(1)

    def fail() -> None:
        own.random()
        raise OSError("no file")

    with pytest.raises(OSError, match="no file"), own_generators_restored([own]):
        fail()
    assert own.random() == random.Random(1).random()


def test_cycles_and_a_million_samples_end() -> None:
    circle = SimpleNamespace(samples=list(range(1_000_000)))
    circle.itself = circle
    with own_generators_restored(circle):
        pass
    assert circle.itself is circle
