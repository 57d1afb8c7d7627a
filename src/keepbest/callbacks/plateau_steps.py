"""The step of ReduceLROnPlateau that comes after the checkpoint of its epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

_KEY = "keepbest_plateau_values"


class PlateauSteps(Callback):
    """Makes up for the plateau schedulers' step that a resumed training lacks.

    Lightning steps them at the very end of an epoch, after the checkpoint of that epoch was saved (`fit_loop.py`,
    `on_advance_end`), and leaves out the step when it resumes, because it no longer has the metric. The value is saved
    here, and the step made before the first epoch.
    """

    def __init__(self) -> None:
        self._pending: dict[int, float] = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the values that the schedulers are going to see when this epoch is over."""
        progress: Any = trainer.fit_loop.epoch_progress.current
        at_epoch_end = progress.processed > progress.completed
        checkpoint[_KEY] = _values(trainer) if at_epoch_end and pl_module.automatic_optimization else {}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the values; the schedulers' own states are restored after this."""
        self._pending = dict(checkpoint.get(_KEY, {})) if trainer.state.fn == "fit" else {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the steps."""
        pending, self._pending = self._pending, {}
        for index, value in pending.items():
            pl_module.lr_scheduler_step(trainer.lr_scheduler_configs[index].scheduler, value)


def _values(trainer: Trainer) -> dict[int, float]:
    """Return the metric of each plateau scheduler that steps at the end of this epoch, by its number."""
    metrics = trainer.callback_metrics
    return {
        index: metrics[config.monitor].item()
        for index, config in enumerate(trainer.lr_scheduler_configs)
        if config.reduce_on_plateau
        and config.interval == "epoch"
        and (trainer.current_epoch + 1) % config.frequency == 0
        and config.monitor in metrics
    }
