"""One line for every improvement of the objective."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from keepbest.callbacks.history import Check, History

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

log = logging.getLogger(__name__)


class Announcer(Callback):
    """Says when the objective reaches a new best, and by how much. Stands after the history it reads."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._announced: Check | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the best of a resumed training for announced."""
        self._announced = self._history.best

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Announce the check that was just taken, if it is the best so far."""
        best = self._history.best
        if best is None or best is self._announced or not trainer.is_global_zero:
            return
        before, self._announced = self._announced, best
        gain = "" if before is None else f", better by {abs(best.value - before.value):.3g}"
        log.info("epoch %3d  %s %.6g%s", best.epoch, self._history.objective.monitor, best.value, gain)
