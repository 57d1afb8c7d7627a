"""The random number generators of every rank, in each checkpoint that a training can be resumed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.distributed
from lightning.pytorch.callbacks import Callback

from keepbest.checkpoints.random_state import random_state, restore_random_state

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

_KEY = "keepbest_random_states"


class RandomStates(Callback):
    """Saves the state of the global random number generators, which Lightning leaves out, and restores it.

    Restored while the callbacks' states are: later, the training loader's iterator would have drawn from them already.
    """

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the states of all ranks into the checkpoint. Every rank calls this, the first one writes."""
        own = random_state()
        states: list[Any] = [own] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(states, own)
        checkpoint[_KEY] = states

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let this rank's generators go on from where they stood, where a fit does. One that was not there is left."""
        states = checkpoint.get(_KEY, []) if trainer.state.fn == "fit" else []
        if trainer.global_rank < len(states):
            restore_random_state(states[trainer.global_rank])
