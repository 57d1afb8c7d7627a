"""A copy in memory of the best weights so far."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, SupportsFloat

import torch
from torch import Tensor, nn

from keepbest.stopping.comparison import Mode, is_better
from keepbest.stopping.policy import StoppingPolicy

Weights = dict[str, Any]


class BestWeights:
    """Keeps a copy of a module's state at its best score, in main memory, and puts it back.

    The copy holds all of `module.state_dict()`: parameters, buffers (running statistics) and extra state. Its memory is
    reused from one best to the next.

    Args:
        module: the module to copy from and to restore.
        mode: "min" when lower scores are better, "max" when higher ones are.
        min_delta: how much better than the best a score must be, in the metric's units.

    Attributes:
        score: the best score so far; None before the first that is a number.
        epoch: the epoch of that score, or None.
    """

    def __init__(self, module: nn.Module, *, mode: Mode = "min", min_delta: float = 0.0) -> None:
        policy = StoppingPolicy(mode=mode, min_delta=min_delta)  # refuses what cannot work
        self.module, self.mode, self.min_delta = module, policy.mode, policy.min_delta
        self.score: float | None = None
        self.epoch: int | None = None
        self._weights: Weights = {}

    def offer(self, score: SupportsFloat, epoch: int) -> bool:
        """Keep the weights that the module has now if `score`, measured with them, is the best. NaN never is.

        Returns:
            Whether they were kept.
        """
        if not self.is_better(score):
            return False
        self.keep(score, epoch)
        return True

    def is_better(self, score: SupportsFloat) -> bool:
        """Return whether a score is better than the best so far."""
        return is_better(score, self.score, self.mode, self.min_delta)

    def keep(self, score: SupportsFloat, epoch: int) -> None:
        """Keep the weights that the module has now, as the best."""
        self._weights = _copy_of(self.module.state_dict(), self._weights)
        self.score, self.epoch = float(score), epoch

    def restore(self) -> bool:
        """Put the best weights into the module; without any, leave it as it is.

        Returns:
            Whether there were any.
        """
        if self.epoch is None:
            return False
        weights = copy.copy(self._weights)
        for name in filter(_is_extra_state, weights):  # the module takes it as it is, and may change it afterwards
            weights[name] = copy.deepcopy(weights[name])
        # a LightningModule may leave a frozen part out of its state, and says so
        self.module.load_state_dict(weights, strict=getattr(self.module, "strict_loading", True))
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the copy, its score and its epoch: plain data and tensors, which a safe load accepts.

        As with any module's state, the tensors are those that the next best is written to.
        """
        return {"score": self.score, "epoch": self.epoch, "weights": copy.copy(self._weights)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.score, self.epoch = state["score"], state["epoch"]
        self._weights = _copy_of(state["weights"], {})


@torch.inference_mode(False)  # its tensors could not be written to again outside that mode
def _copy_of(weights: Weights, memory: Weights) -> Weights:
    """Return a copy in main memory, made in the tensors of `memory` where they fit.

    It is of the same type, with the versions of the modules' formats that torch keeps in an attribute of it.
    """
    copied = copy.copy(weights)
    for name, value in weights.items():
        copied[name] = _copied(value, memory.get(name))
    return copied


def _copied(value: Any, buffer: Any) -> Any:
    if not isinstance(value, Tensor):  # what a module's get_extra_state returned
        return copy.deepcopy(value)
    value = value.detach()
    if isinstance(buffer, Tensor) and buffer.shape == value.shape and buffer.dtype == value.dtype:
        return buffer.copy_(value)
    return value.to("cpu", copy=True)


def _is_extra_state(name: str) -> bool:
    return name.endswith("_extra_state")
