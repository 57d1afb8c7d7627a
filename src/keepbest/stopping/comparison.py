"""The one definition of "better" in keepbest."""

from __future__ import annotations

from typing import Any, Literal, SupportsFloat

import numpy as np

Mode = Literal["min", "max"]
MODES: tuple[Mode, ...] = ("min", "max")


def is_better(value: SupportsFloat, reference: float | None, mode: Mode, min_delta: float = 0.0) -> bool:
    """Return whether `value` improves on `reference` by more than `min_delta`.

    The comparison is strict: `value + min_delta < reference` for "min", `value - min_delta > reference` for "max". A
    NaN is never better, and every value short of the worst infinity is better than no reference.

    It is made in the precision of the value, as Lightning's EarlyStopping makes it: a tensor and a NumPy scalar are
    compared in their own type, a Python number in float32, the type in which Lightning logs it.
    """
    current: Any = value
    with np.errstate(over="ignore"):  # a reference beyond float32 is an infinity there
        if type(value) in _PYTHON_NUMBERS:
            current = np.float32(value)
        if mode == "min":
            return bool(current + min_delta < (np.inf if reference is None else reference))
        return bool(current - min_delta > (-np.inf if reference is None else reference))


_PYTHON_NUMBERS = (float, int, bool)
