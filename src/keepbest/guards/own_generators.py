"""Random number generators that a dataset keeps for itself, which no global state knows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch

Restore = Callable[[], object]

_MOST_OBJECTS = 10_000
_MOST_ITEMS = 100  # of one list, tuple or dict: the generators of a million samples are not looked for


@contextmanager
def own_generators_restored(*owners: object) -> Iterator[None]:
    """Put the generators found in objects, and in what these hold, back to where they stood.

    Found are generators of torch, NumPy and Python in attributes, lists, tuples and dicts, however deep.
    """
    found = [restore for thing in _held_by(owners) if (restore := _restoring(thing))]
    try:
        yield
    finally:
        for restore in found:
            restore()


def _restoring(thing: Any) -> Restore | None:
    """Return what brings a generator back to its present state, None for what is no generator."""
    if isinstance(thing, torch.Generator):
        return partial(thing.set_state, thing.get_state())
    if isinstance(thing, np.random.Generator):
        return partial(setattr, thing.bit_generator, "state", thing.bit_generator.state)
    if isinstance(thing, np.random.RandomState):
        return partial(thing.set_state, thing.get_state())
    if isinstance(thing, random.Random):
        return partial(thing.setstate, thing.getstate())
    return None


def _held_by(owners: tuple[object, ...]) -> Iterator[object]:
    seen: dict[int, object] = {}  # holds on to what it has seen, so that no number is given twice
    pending = list(owners)
    while pending and len(seen) < _MOST_OBJECTS:
        thing = pending.pop()
        if id(thing) not in seen:
            seen[id(thing)] = thing
            yield thing
            pending.extend(_inside(thing))


def _inside(thing: object) -> list[object]:
    if isinstance(thing, dict):
        return list(islice(thing.values(), _MOST_ITEMS))
    if isinstance(thing, (list, tuple)):
        return list(thing[:_MOST_ITEMS])
    if isinstance(thing, type):
        return []
    return list(getattr(thing, "__dict__", {}).values())
