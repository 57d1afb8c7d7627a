"""The state of the global random number generators, as plain data."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """Return the state of Python's `random`, NumPy's global generator, and torch's on the CPU and on every device.

    Plain containers and tensors, which `torch.load(weights_only=True)` accepts. Generators that a program made for
    itself (`torch.Generator`, `numpy.random.default_rng`) are not part of it.
    """
    return {
        "python": random.getstate(),
        "numpy": _plain(np.random.get_state(legacy=False)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Let every generator go on from where `random_state` found it.

    CUDA devices are matched by number. With another number of devices than then, those in both get their state back;
    a device that was not there keeps the state it has, and the state of one that is gone is left out.

    Args:
        state: what `random_state` returned; its tensors may have been moved to another device since.
    """
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"].cpu())
    for device, of_device in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(of_device.cpu(), device)
    if state["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"].cpu())


def _plain(value: Any) -> Any:
    """Return NumPy's nested state with lists for its arrays."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value
