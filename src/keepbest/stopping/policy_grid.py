"""A grid of stopping policies: every combination of some settings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keepbest.errors import ConfigError
from keepbest.stopping.policy import StoppingPolicy

AXES = ("patience", "min_delta", "baseline", "start_from_epoch")


@dataclass(frozen=True, eq=False)
class PolicyGrid:
    """Every combination of four settings; the others are the same for all.

    Args:
        patience: see `StoppingPolicy`, as int64.
        min_delta: as float64.
        baseline: None for none.
        start_from_epoch: in epochs.
        common: a policy with the other settings.
    """

    patience: NDArray[np.int64]
    min_delta: NDArray[np.float64]
    baseline: tuple[float | None, ...]
    start_from_epoch: tuple[int, ...]
    common: StoppingPolicy

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """How many values each axis has, in the order of `AXES`."""
        return self.patience.size, self.min_delta.size, len(self.baseline), len(self.start_from_epoch)

    @property
    def size(self) -> int:
        """How many policies there are."""
        return math.prod(self.shape)

    def policy(self, number: int) -> StoppingPolicy:
        """Return one of the policies.

        Args:
            number: its place in the flattened grid.
        """
        p, d, b, s = np.unravel_index(number, self.shape)
        return replace(
            self.common,
            patience=self.patience[p],
            min_delta=self.min_delta[d],
            baseline=self.baseline[b],
            start_from_epoch=self.start_from_epoch[s],
        )

    def columns(self, numbers: NDArray[np.intp] | None = None) -> dict[str, NDArray[Any]]:
        """Return the settings of policies, by name; NaN where there is no baseline.

        Args:
            numbers: their places in the flattened grid; None for all of them.
        """
        places = np.unravel_index(np.arange(self.size) if numbers is None else numbers, self.shape)
        baseline = np.array([np.nan if value is None else value for value in self.baseline], dtype=np.float64)
        axes = (self.patience, self.min_delta, baseline, np.array(self.start_from_epoch))
        return {name: axis[place] for name, axis, place in zip(AXES, axes, places, strict=True)}


def policy_grid(
    common: StoppingPolicy,
    patience: ArrayLike | Iterable[int],
    min_delta: ArrayLike | Iterable[float],
    baseline: float | Iterable[float | None] | None = None,
    start_from_epoch: int | Iterable[int] = 0,
) -> PolicyGrid:
    """Return the grid of what was given, each a value or several.

    Raises:
        ConfigError: for a value that `StoppingPolicy` refuses, in its words, and for an axis without a value.
    """
    policies = {
        "baseline": [replace(common, baseline=value) for value in _listed("baseline", baseline)],
        "start": [replace(common, start_from_epoch=value) for value in _listed("start_from_epoch", start_from_epoch)],
    }
    return PolicyGrid(
        _numbers("patience", patience, "iu").astype(np.int64),
        _numbers("min_delta", min_delta, "iuf").astype(np.float64),
        tuple(policy.baseline for policy in policies["baseline"]),
        tuple(policy.start_from_epoch for policy in policies["start"]),
        common,
    )


def _numbers(name: str, given: Any, kinds: str) -> NDArray[Any]:
    """Return an axis as an array; a million values are not checked one by one."""
    values = given if isinstance(given, np.ndarray) and given.ndim == 1 else _listed(name, given)
    array = np.asarray(values)
    is_usable = array.ndim == 1 and array.dtype.kind in kinds and bool((np.isfinite(array) & (array >= 0)).all())
    if not is_usable or (values is not array and any(isinstance(value, bool) for value in values)):
        for value in values:
            StoppingPolicy(**{name: value})  # says what is wrong with it
        raise ConfigError(f"{name} must be a number or a list of them", received=given)
    return array


def _listed(name: str, given: Any) -> list[Any]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        return [given]
    values = list(given)
    if not values:
        raise ConfigError(f"{name} must have at least one value", received=given)
    return values
