"""Zero mean and unit variance, by the statistics of the training samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Standardizer:
    """A mean and a scale per column, with the way there and back.

    Args:
        mean: per column, in the column's unit.
        scale: the standard deviation per column, in the column's unit; 1 where the column is constant.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[Any]) -> Standardizer:
        """Take the statistics of values `[N, ...]` over the samples."""
        # A constant column has a standard deviation of about 1e-17 where its mean is rounded: not a safe divisor.
        constant = values.max(axis=0) == values.min(axis=0)
        return cls(values.mean(axis=0, dtype=np.float64), np.where(constant, 1.0, values.std(axis=0, dtype=np.float64)))

    def transform(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Bring values to the standard scale."""
        return np.asarray((values - self.mean) / self.scale)

    def inverse(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Bring standardised values, such as a model's predictions, back to their unit."""
        return np.asarray(values * self.scale + self.mean)
