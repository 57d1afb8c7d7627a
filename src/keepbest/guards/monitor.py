"""The objective's metric must exist, and that can be known before the first training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from keepbest.callbacks.logged_metrics import Metrics, changed
from keepbest.errors import MonitorError

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class MonitorGuard(Callback):
    """Ends the run at its first validation, usually the sanity check, when the objective's metric is not logged.

    Args:
        monitor: the metric that stopping and keeping rely on.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self._seen = False
        self._before: Metrics = {}

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what was logged before: without a sanity check, training has logged already."""
        self._before = dict(trainer.callback_metrics)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the names that the first validation logged with the one that is needed."""
        if self._seen:
            return
        if trainer.sanity_checking and len(trainer.num_sanity_val_batches) > 1:
            return  # Lightning shows no metrics of several loaders in its sanity check: the first validation will
        logged = changed(trainer.callback_metrics, self._before)
        if self.monitor not in logged:
            raise MonitorError(self.monitor, logged)
        self._seen = True
