"""The random number generators of every rank, in each checkpoint that a training can be resumed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from keepbest.callbacks.batch_boundaries import BoundaryCallback, resumes_within_epoch
from keepbest.callbacks.ranks import of_every_rank
from keepbest.checkpoints.random_state import random_state, restore_random_state

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

_KEY = "keepbest_random_states"


class RandomStates(Callback, BoundaryCallback):
    """Saves the state of the global random number generators, which Lightning leaves out, and restores it.

    Restored while the callbacks' states are: later, the training loader's iterator would have drawn from them already.
    Within an epoch that iterator has to be brought to its place first, and they are restored after that.
    """

    def __init__(self) -> None:
        self._own: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the states of all ranks into the checkpoint. Every rank calls this, the first one writes."""
        checkpoint[_KEY] = of_every_rank(trainer, random_state())

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let this rank's generators go on from where they stood, where a fit does. One that was not there is left."""
        states = checkpoint.get(_KEY, []) if trainer.state.fn == "fit" else []
        self._own = states[trainer.global_rank] if trainer.global_rank < len(states) else None
        if not resumes_within_epoch(trainer):
            self._restore()

    def on_epoch_resumed(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the generators go on, now that the loader is where it was."""
        self._restore()

    def _restore(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            restore_random_state(own)
