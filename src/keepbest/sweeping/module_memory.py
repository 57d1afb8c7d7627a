"""What a module remembers in attributes of its own, which no checkpoint holds."""

from __future__ import annotations

import copy
import hashlib
import random
from collections import deque
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric

_DEEPEST = 50
_PLAIN = (type(None), bool, int, float, complex, str, bytes, PurePath, torch.dtype, torch.device, torch.Size)
_OF_LIBRARIES = ("torch", "torchmetrics", "lightning", "lightning_utilities", "lightning_fabric", "pytorch_lightning")


def memory_of(module: LightningModule) -> dict[str, str]:
    """Return a hash of each plain attribute of a module and of the modules below it, by its path.

    Buffers that are not saved are among them. Two modules with the same memory, weights and running metrics go on
    alike. Left out are torchmetrics objects, which a training that goes on in an epoch restores, and Lightning's own
    attributes. Objects of the libraries and functions count by their type alone.
    """
    known = vars(LightningModule()).keys()
    skipped = [f"{name}." for name, part in module.named_modules() if isinstance(part, Metric)]
    return {
        f"{name}.{key}".removeprefix("."): hashlib.sha256(_text(value, {}).encode(errors="surrogatepass")).hexdigest()
        for name, part in module.named_modules()
        if not isinstance(part, Metric) and not name.startswith(tuple(skipped))
        for key, value in {**vars(part), **_unsaved_buffers(part)}.items()
        if key not in known
    }


def _unsaved_buffers(part: nn.Module) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part._non_persistent_buffers_set}


def _text(value: Any, seen: dict[int, Any], depth: int = 0) -> str:
    """Return a text that is the same for equal values, and another one for others as far as can be told.

    Args:
        value: anything.
        seen: what was looked at before, by its id; an object that comes again is not looked at again.
        depth: how many containers it lies in.
    """
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, _PLAIN):
        return f"{kind} {value!r}"
    if id(value) in seen or depth > _DEEPEST:
        return kind
    seen[id(value)] = value
    inside = _inside(value)
    return kind if inside is None else f"{kind}({', '.join(_text(item, seen, depth + 1) for item in inside)})"


def _inside(value: Any) -> list[Any] | None:
    """Return what a value is made of, None where that is not looked at."""
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return _array(value)
    if isinstance(value, Metric):
        return [value.metric_state, value.update_count]
    if isinstance(value, nn.Module):
        return [value.state_dict()]
    if isinstance(value, Mapping):
        return [item for pair in value.items() for item in pair]
    if isinstance(value, (list, tuple, deque)):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return sorted(_text(item, {}) for item in value)
    return _state(value)


def _array(value: Any) -> list[Any]:
    try:
        plain = value.detach().cpu().contiguous().view(-1) if isinstance(value, Tensor) else np.asarray(value)
        content = plain.view(torch.uint8).numpy() if isinstance(plain, Tensor) else plain
        return [str(value.dtype), list(value.shape), hashlib.sha256(content.tobytes()).hexdigest()]
    except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantized and the like
        return [repr(value)]


def _state(value: Any) -> list[Any] | None:
    if isinstance(value, torch.Generator):
        return [value.get_state()]
    if isinstance(value, random.Random):
        return [value.getstate()]
    if isinstance(value, np.random.Generator):
        return [value.bit_generator.state]
    if callable(value) or type(value).__module__.partition(".")[0] in _OF_LIBRARIES:
        return None
    return [vars(value)] if hasattr(value, "__dict__") else None


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the attributes that differ between two memories."""
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


class Moments:
    """What a module remembered at several moments, so that it can be taken back to any of them.

    A value that several moments have in common is copied once.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], Any] = {}

    def keep(self, module: LightningModule) -> dict[str, str]:
        """Copy what a module remembers; return its memory, as `memory_of` does."""
        memory = memory_of(module)
        for key, found in memory.items():
            if (key, found) not in self._values:
                with suppress(Exception):  # what cannot be copied cannot be given back
                    self._values[key, found] = copy.deepcopy(_place_of(module, key)[key.rpartition(".")[2]])
        return memory

    def take_back(self, module: LightningModule, memory: Mapping[str, str]) -> list[str]:
        """Let a module remember what it did at a moment; return the attributes for which that did not succeed.

        Args:
            module: the one that was kept.
            memory: of that moment.
        """
        now = memory_of(module)
        for key in now.keys() | memory.keys():
            name = key.rpartition(".")[2]
            if now.get(key) == memory.get(key):
                continue
            if key not in memory:
                _place_of(module, key).pop(name)
            elif (key, memory[key]) in self._values:
                _place_of(module, key)[name] = copy.deepcopy(self._values[key, memory[key]])
        return changed(memory, memory_of(module))


def _place_of(module: LightningModule, key: str) -> MutableMapping[str, Any]:
    """Return where an attribute, or a buffer, lies that has a path of `memory_of`."""
    part = module.get_submodule(key.rpartition(".")[0])
    return part._buffers if key.rpartition(".")[2] in part._buffers else vars(part)
