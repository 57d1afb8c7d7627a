"""The one definition of "better" in keepbest."""

from __future__ import annotations

from typing import Literal

import numpy as np

Mode = Literal["min", "max"]
MODES: tuple[Mode, ...] = ("min", "max")


def is_better(value: float, reference: float | None, mode: Mode, min_delta: float = 0.0) -> bool:
    """Return whether `value` improves on `reference` by more than `min_delta`.

    The comparison is strict and made in float32, as Lightning's EarlyStopping makes it on the metric's tensor:
    `value + min_delta < reference` for "min", `value - min_delta > reference` for "max". A NaN is never better, and
    every value short of the worst infinity is better than no reference.
    """
    current, delta = np.float32(value), np.float32(min_delta)
    if mode == "min":
        return bool(current + delta < np.float32(np.inf if reference is None else reference))
    return bool(current - delta > np.float32(-np.inf if reference is None else reference))
