"""Sums over an epoch, from which its metrics are computed once.

`LightningModule.log` at every step costs a third of a small model's training time, and averages of averages weigh a
short last batch too much. Sums cost an addition per batch, and dividing them once weighs every sample alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


class EpochSums:
    """Named sums over the samples of one epoch, kept on the device of their terms."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every sum: an epoch begins."""
        self._samples = 0
        self._sums: dict[str, Tensor] = {}

    def add(self, samples: int, terms: Mapping[str, Tensor]) -> None:
        """Add a batch of so many samples. A term keeps its shape: a name may sum one value per class or target."""
        self._samples += samples
        for name, term in terms.items():
            precise = widest(term)
            self._sums[name] = self._sums[name] + precise if name in self._sums else precise

    def total(self, reduce: Callable[..., Tensor]) -> dict[str, Tensor]:
        """Return the sums over all processes, equal on each of them; `samples` is the number of samples.

        An epoch without a batch has no sums: the result is empty, and `reduce` is not called.

        Args:
            reduce: a strategy's `reduce`; called with each sum and `reduce_op="sum"`, on every process alike.
        """
        if not self._sums:
            return {}
        of_rank = {name: value.clone() for name, value in self._sums.items()}  # clones: reduce works in place
        of_rank["samples"] = next(iter(of_rank.values())).new_tensor(self._samples)
        return {name: reduce(value, reduce_op="sum") for name, value in of_rank.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of this process so far."""
        return {"samples": self._samples, "sums": dict(self._sums)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state_dict` returned, on the device of its tensors."""
        self._samples, self._sums = state["samples"], dict(state["sums"])


def widest(tensor: Tensor) -> Tensor:
    """Return the tensor in double precision, in which a sum over an epoch loses nothing that a float32 metric shows."""
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)  # MPS has no float64
