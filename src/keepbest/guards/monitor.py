"""The objective's metric must exist, and that can be known before the first training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

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

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the names that the first validation logged with the one that is needed."""
        if self._seen:
            return
        if self.monitor not in trainer.callback_metrics:
            raise MonitorError(self.monitor, trainer.callback_metrics)
        self._seen = True
