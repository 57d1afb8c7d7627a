"""Samples that live in memory as tensors, fetched a whole batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from keepbest.errors import DataError

Batch = tuple[Tensor, Tensor]
T = TypeVar("T")


class TensorTable(Dataset[Batch]):
    """Aligned inputs and targets; a batch is one indexing operation instead of a loop over samples.

    Give it to an ordinary `DataLoader` with `collate_fn=whole_batch`. The loader keeps its standard samplers, so that
    Lightning can still put its `DistributedSampler` in their place.

    Args:
        inputs: `[N, ...]`.
        targets: `[N, ...]`, row i belonging to row i of the inputs.

    Raises:
        DataError: the two differ in length.
    """

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        if len(inputs) != len(targets):
            raise DataError(f"inputs and targets must have the same length, got {len(inputs)} and {len(targets)}.")
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Batch:
        return self.inputs[index], self.targets[index]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        return self.inputs[chosen], self.targets[chosen]


def whole_batch(batch: T) -> T:
    """Return the batch as it is: `TensorTable.__getitems__` has assembled it already.

    A function of the module, not a lambda, because worker processes receive it pickled.
    """
    return batch
