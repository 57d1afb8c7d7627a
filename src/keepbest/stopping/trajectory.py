"""One training's recorded series of checks, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepbest.errors import ConfigError
from keepbest.stopping.reasons import StopReason

_PYTHON_NUMBERS = {float, int, bool}


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The checks of one training, in their order.

    Args:
        values: what the monitored metric was, as float64; a NaN is a value.
        precision: the type in which the metric was compared, see `keepbest.stopping.comparison.is_better`.
        epochs: the epoch of each check, from 0, as int64.
        may_stop: where the trainer's own `min_epochs` and `min_steps` allowed a stop; None: everywhere.
        trained_epochs: how many epochs were trained; None: up to the last check's.
        limit: the trainer's limit that ended the training, which ends it for every policy; None where something else
            ended it, or nothing says what.
        kept_min_delta: by how much a value had to beat the last one kept, for its weights to be kept instead.
        keeps_policy_best: whether what a policy accepted last was kept instead, by its own `min_delta`.
        name: what to call it.
    """

    values: NDArray[np.float64]
    precision: np.dtype[Any]
    epochs: NDArray[np.int64]
    may_stop: NDArray[np.bool_] | None = None
    trained_epochs: int | None = None
    limit: StopReason | None = None
    kept_min_delta: float = 0.0
    keeps_policy_best: bool = False
    name: str = "history"

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or not self.values.size or self.values.shape != self.epochs.shape:
            raise ConfigError("a history must be a series of at least one check", received=self.values.shape)
        if self.epochs[0] < 0 or (np.diff(self.epochs) < 0).any():
            raise ConfigError(
                f"the epochs of a history must count from 0 and never go back, those of {self.name} do",
                remedy="Give the checks of one training, in their order",
            )

    @property
    def total_epochs(self) -> int:
        """How many epochs the whole history has."""
        return max(int(self.epochs[-1]) + 1, self.trained_epochs or 0)

    def signed(self, mode: str) -> NDArray[Any]:
        """Return the values in the type they are compared in, turned over for mode "max": lower is better then."""
        with np.errstate(over="ignore"):  # a number beyond float32 is an infinity there
            values = self.values.astype(self.precision)
        return values if mode == "min" else -values


def trajectory_of(values: Any, epochs: Sequence[int] | None = None, **facts: Any) -> Trajectory:
    """Return a trajectory of a series of numbers, compared as `StoppingPolicy` compares them one by one.

    Args:
        values: Python numbers, which are compared in float32; NumPy's or an array, compared in their own type.
        epochs: of the checks; None counts each check as an epoch.
        facts: further arguments of `Trajectory`.

    Raises:
        ConfigError: for what is no series of numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError:  # of different lengths
        array = np.empty((0, 0))
    if array.ndim != 1 or array.dtype.kind not in "fiub" or not array.size:
        raise ConfigError("a history must be a series of numbers, at least one", received=values)
    places = np.arange(array.size) if epochs is None else np.asarray(epochs, dtype=np.int64)
    return Trajectory(array.astype(np.float64), _precision(values, array), places, **facts)


def precision_told_by(values: NDArray[np.float64]) -> np.dtype[Any]:
    """Return the type that a table's numbers were compared in: float32, unless one of them is no number of float32.

    Metrics are float32 unless the training is in double precision, and tables hold their exact values.
    """
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        is_single = bool((finite.astype(np.float32) == finite).all())
    return np.dtype(np.float32 if is_single else np.float64)


def _precision(values: Any, array: NDArray[Any]) -> np.dtype[Any]:
    if isinstance(values, (list, tuple, range)):
        kinds = {type(value) for value in values}
        types = [np.float32 if kind in _PYTHON_NUMBERS else kind for kind in kinds]
        dtype = np.result_type(*types)
    else:
        dtype = array.dtype
    return dtype if dtype.kind == "f" and dtype.itemsize <= np.float64().itemsize else np.dtype(np.float64)
