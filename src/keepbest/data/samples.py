"""What a data source delivers before it is split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Samples:
    """All samples of a source, in a fixed order, as arrays.

    Args:
        inputs: `[N, ...]`, any numeric type.
        targets: `[N]` class numbers from 0, `[N]` values to regress, or `[N, H, W]` masks of class numbers.
        classes: the name of each class number; empty for regression.
        test_size: how many samples at the end are a test set of the source's own; 0 where there is none.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    classes: tuple[Any, ...] = ()
    test_size: int = 0

    def __len__(self) -> int:
        return len(self.inputs)
