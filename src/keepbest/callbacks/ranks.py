"""States that each process of a training has for itself, in the one checkpoint that the first of them writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.distributed

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def of_every_rank(trainer: Trainer, own: Any) -> list[Any]:
    """Return the states of all ranks, in their order. Every rank must call this; tensors belong on the CPU."""
    states = [own] * trainer.world_size
    if trainer.world_size > 1:
        torch.distributed.all_gather_object(states, own)
    return states
