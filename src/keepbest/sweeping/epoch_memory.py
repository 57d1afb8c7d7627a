"""What a module remembers in attributes of its own, which no checkpoint holds."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Mapping
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
