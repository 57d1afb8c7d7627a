"""Hyperparameters as plain containers, so that a checkpoint loads with `weights_only=True`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np

_DROPPED = object()


def plain_hyperparameters(hyperparameters: Any) -> dict[str, Any]:
    """Return a copy that holds only dict, list, str, int, float, bool, None and tensors.

    OmegaConf containers become dicts and lists, paths become strings, NumPy scalars and enums their values. What has no
    plain form (a network, an optimizer factory) is left out: it cannot be loaded safely, and the run's config holds
    what it was made of.
    """
    plain = _plain(_without_omegaconf(hyperparameters))
    return plain if isinstance(plain, dict) else {}


def _without_omegaconf(value: Any) -> Any:
    from omegaconf import Container, OmegaConf

    return OmegaConf.to_container(value, resolve=True) if isinstance(value, Container) else value


def _plain(value: Any) -> Any:
    import torch

    value = _without_omegaconf(value)
    if value is None or type(value) in (bool, int, float, str, torch.Tensor):
        return value
    if isinstance(value, Mapping):
        items = {str(key): _plain(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _DROPPED}
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (str, int, float)):  # a subclass, such as a StrEnum's or NumPy's float64
        return next(kind(value) for kind in (str, int, float) if isinstance(value, kind))
    if isinstance(value, (Sequence, Set)) and not isinstance(value, (bytes, bytearray)):
        return [item for item in map(_plain, value) if item is not _DROPPED]
    if isinstance(value, (np.ndarray, np.generic)):
        plain = value.tolist()
        return _DROPPED if isinstance(plain, np.generic) else _plain(plain)  # a long double stays what it is
    return _DROPPED
