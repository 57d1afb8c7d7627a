"""A copy of a training's state in main memory, which stays as it is while the training goes on."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, UntypedStorage


class HostCopy:
    """Copies nested states into main memory, and reuses that memory from one copy to the next.

    Tensors that share memory share it in the copy, so that it is as large as the file that torch.save makes of it.
    A copy is valid until the next is taken. Dicts, lists and tuples are copied with what they hold.
    """

    def __init__(self) -> None:
        self._memory: list[UntypedStorage] = []

    def take(self, state: Any) -> Any:
        """Return a copy of a state; the one before it is overwritten."""
        originals = {_identity(tensor): tensor.untyped_storage() for tensor in _tensors_in(state)}
        places = self._reserve([original.nbytes() for original in originals.values()])
        copies = {}
        for (identity, original), place in zip(originals.items(), places, strict=True):
            copies[identity] = place.copy_(original)
        return _rebuilt(state, copies)

    def release(self) -> None:
        """Give the memory back, once nobody uses the last copy."""
        self._memory = []

    def _reserve(self, sizes: list[int]) -> list[UntypedStorage]:
        """Return memory of these sizes in bytes, what is there first.

        What is there and not needed is given back before more is taken, and only then: weights alone and whole
        checkpoints, saved in turns, allocate nothing, and there is never more than the largest of them needs.
        """
        free = defaultdict(list)
        for place in self._memory:
            free[place.nbytes()].append(place)
        found = [free[size].pop() if free[size] else None for size in sizes]
        if any(place is None for place in found):
            free.clear()
            self._memory = []
        places = [_allocated(size) if place is None else place for size, place in zip(sizes, found, strict=True)]
        self._memory = self._memory or places
        return places


def _allocated(size: int) -> UntypedStorage:
    return torch.empty(size, dtype=torch.uint8).untyped_storage()


def _tensors_in(state: Any) -> Iterator[Tensor]:
    if _is_plain(state):
        yield state
    elif isinstance(state, dict):
        for value in state.values():
            yield from _tensors_in(value)
    elif isinstance(state, (list, tuple)):
        for value in state:
            yield from _tensors_in(value)


def _rebuilt(state: Any, copies: dict[int, UntypedStorage]) -> Any:
    if _is_plain(state):
        memory = copies[_identity(state)]
        return torch.empty(0, dtype=state.dtype).set_(memory, state.storage_offset(), state.size(), state.stride())
    if isinstance(state, Tensor):  # sparse, a subclass: rare, and without the reuse
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        copied = copy.copy(state)  # of its type, with the versions of formats that torch keeps in an attribute of it
        for key, value in state.items():
            copied[key] = _rebuilt(value, copies)
        return copied
    if type(state) in (list, tuple):
        return type(state)(_rebuilt(value, copies) for value in state)
    return copy.deepcopy(state)


def _is_plain(value: Any) -> bool:
    if type(value) is not Tensor or value.layout is not torch.strided:
        return False
    return not (value.is_quantized or value.is_conj() or value.is_neg())


def _identity(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)  # what torch.save tells memory apart by
