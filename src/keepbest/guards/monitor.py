"""The objective's metric must be logged by validation, and that can be known before an epoch is wasted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from keepbest.callbacks.logged_metrics import Metrics, changed, logged_in_training_step
from keepbest.errors import MonitorError, TimingError

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

log = logging.getLogger(__name__)

_KEY = "keepbest_monitor_guard"


class MonitorGuard(Callback):
    """Ends the run when the objective's metric cannot serve: nobody logs it, or the training step does.

    What the training step logs describes weights that are gone by then. It is refused where the best weights are
    restored by it, and worth a warning where it only stops the training. Validation's names are known from the sanity
    check, training's from the first step.

    Args:
        monitor: the metric that stopping and keeping rely on.
        training: whether to object to a metric that the training step logs.
    """

    def __init__(self, monitor: str, *, training: bool = True) -> None:
        self.monitor, self.training = monitor, training
        self._is_settled = self._has_trained = False
        self._missing_among: Metrics | None = None  # what the sanity check logged, where the monitor was not in it
        self._before: Metrics = {}

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what was logged before: without a sanity check, training has logged already."""
        self._before = dict(trainer.callback_metrics)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the names that the first validation logged with the one that is needed."""
        if self._is_settled:
            return
        if trainer.sanity_checking and len(trainer.num_sanity_val_batches) > 1:
            return  # Lightning shows no metrics of several loaders in its sanity check: the first validation will
        logged = changed(trainer.callback_metrics, self._before)
        self._is_settled = self.monitor in logged
        if self._is_settled or self._training_may_log_it(trainer):
            return
        if not trainer.sanity_checking or _restores(trainer, self.monitor):
            raise MonitorError(self.monitor, logged)
        self._missing_among = logged

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at what the first training step logged."""
        if self._has_trained:
            return
        self._has_trained = True
        # where validation logs it too, only a value of the epoch would take the place of validation's
        if logged_in_training_step(trainer, self.monitor, by_epoch=self._is_settled):
            self._object(trainer)
        elif self._missing_among is not None and not self._is_settled:
            raise MonitorError(self.monitor, self._missing_among)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what the end of the first epoch logged."""
        if self._has_trained and not self._is_settled and self.monitor in trainer.callback_metrics:
            self._object(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what is known: a training that goes on within an epoch has no sanity check to learn it from."""
        checkpoint[_KEY] = {"is_settled": self._is_settled, "has_trained": self._has_trained}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with it, where a fit does."""
        if (known := checkpoint.get(_KEY)) and trainer.state.fn == "fit":
            self._is_settled, self._has_trained = known["is_settled"], known["has_trained"]

    def _training_may_log_it(self, trainer: Trainer) -> bool:
        """Return whether to wait for the end of an epoch, where a module may log what it has added up while training.

        Only where that would be no reason to refuse it.
        """
        if not self.training:
            return True
        return "train" in self.monitor.lower() and not _restores(trainer, self.monitor)

    def _object(self, trainer: Trainer) -> None:
        self._is_settled = True
        if not self.training:
            return
        if _restores(trainer, self.monitor):
            raise TimingError(self.monitor)
        log.warning(
            "%s is logged by training: it says how the model fits data that it has seen, so it hardly ever stops "
            "improving. Monitor a metric that validation_step logs.",
            self.monitor,
        )


def _restores(trainer: Trainer, monitor: str) -> bool:
    """Return whether the best weights of this metric are restored, from a checkpoint or from memory."""
    keeps = any(getattr(keeper, "monitor", None) == monitor for keeper in trainer.checkpoint_callbacks)
    return keeps or bool(getattr(trainer.early_stopping_callback, "restore_best_weights", False))
