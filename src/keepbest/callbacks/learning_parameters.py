"""Which parameters learn, in each checkpoint that a training can be resumed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

_KEY = "keepbest_learning_parameters"


class LearningParameters(Callback):
    """Saves which parameters are frozen, and which batch norms take no statistics, and restores both.

    Lightning saves neither. A training that unfreezes its backbone in some epoch (`BackboneFinetuning`) would go on
    after that epoch with the backbone that its set-up has just frozen, and say nothing.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, list[str]] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the names of what does not learn into the checkpoint."""
        checkpoint[_KEY] = {
            "frozen": [name for name, value in pl_module.named_parameters() if not value.requires_grad],
            "without_statistics": [name for name, norm in _batch_norms(pl_module) if not norm.track_running_stats],
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the names; callbacks that freeze may have their say before the training starts."""
        self._loaded = checkpoint.get(_KEY) if trainer.state.fn == "fit" else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let those learn that learned when the checkpoint was saved, and no others."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        frozen, without_statistics = set(loaded["frozen"]), set(loaded["without_statistics"])
        for name, value in pl_module.named_parameters():
            value.requires_grad_(name not in frozen)
        for name, norm in _batch_norms(pl_module):
            norm.track_running_stats = name not in without_statistics


def _batch_norms(module: LightningModule) -> list[tuple[str, _BatchNorm]]:
    return [(name, norm) for name, norm in module.named_modules() if isinstance(norm, _BatchNorm)]
