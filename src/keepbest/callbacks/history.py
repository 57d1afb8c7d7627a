"""The series of values that a training produces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from keepbest.callbacks.logged_metrics import Metrics, changed
from keepbest.records.metrics_table import MetricsTable
from keepbest.stopping.comparison import is_better

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

    from keepbest.records.run_record import Objective


class Check(NamedTuple):
    """One evaluation of the monitored metric: the epoch (from 0), the optimizer steps taken, the value.

    The value of a metric in double precision is a NumPy float64, so that it is compared as one.
    """

    epoch: int
    step: int
    value: float


class History(Callback):
    """Collects every check of the objective, and writes all metrics to `metrics.csv` as the training goes on.

    A row is written for each validation and for each epoch; where an epoch ends with its validation the two are one
    row. Validation metrics stand in the row of the validation that computed them, training metrics in the row of their
    epoch's end. That row stays open until the module's own epoch-end hooks have logged, which Lightning runs after the
    callbacks': until the next epoch starts or the training ends.

    Args:
        path: the CSV file; None keeps the metrics in memory only (every rank but the first).
        objective: the metric to collect, and which direction is better.

    Attributes:
        checks: the checks so far.
        validations: how many validations there were, whatever they logged.
        best: the strict optimum of them; None before the first that is a number.
    """

    def __init__(self, path: Path | None, objective: Objective) -> None:
        self.objective = objective
        self.checks: list[Check] = []
        self.validations = 0
        self.best: Check | None = None
        self._table = MetricsTable(path) if path else None
        self._row: _Row | None = None
        self._before_epoch: Metrics = {}
        self._before_validation: Metrics = {}
        self._validated: set[str] = set()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row of the epoch before."""
        self._close_epoch(trainer)
        self._before_epoch = dict(trainer.callback_metrics)
        self._validated.clear()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what is known before this validation."""
        self._before_validation = dict(trainer.callback_metrics)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the values of a check."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self.validations += 1
        self._write_row()
        fresh = changed(trainer.callback_metrics, self._before_validation)
        self._validated.update(fresh)
        self._row = _Row(trainer.current_epoch, trainer.global_step, fresh)
        self._take_check(self._row)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the epoch's row, unless its validation already did."""
        if self._row is None or self._row.step != trainer.global_step:
            self._write_row()
            self._row = _Row(trainer.current_epoch, trainer.global_step, {})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last row."""
        self._close_epoch(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the row that was open when the training died."""
        self._write_row()

    def best_by(self, min_delta: float) -> Check | None:
        """Return the last check that was better by `min_delta` than the one accepted before it."""
        best: Check | None = None
        for check in self.checks:
            if is_better(check.value, best.value if best else None, self.objective.mode, min_delta):
                best = check
        return best

    def _take_check(self, row: _Row) -> None:
        if self.objective.monitor not in row.metrics:
            return
        check = Check(row.epoch, row.step, _number(row.metrics[self.objective.monitor]))
        self.checks.append(check)
        if is_better(check.value, self.best.value if self.best else None, self.objective.mode):
            self.best = check

    def _close_epoch(self, trainer: Trainer) -> None:
        if self._row is not None:
            fresh = changed(trainer.callback_metrics, self._before_epoch)
            self._row.metrics.update({name: value for name, value in fresh.items() if name not in self._validated})
            if self.objective.monitor not in self._validated:
                self._take_check(self._row)  # of a metric that training logs
            self._write_row()

    def _write_row(self) -> None:
        row, self._row = self._row, None
        if row and self._table:
            self._table.append(row.epoch, row.step, {name: float(value) for name, value in row.metrics.items()})


class _Row(NamedTuple):
    epoch: int
    step: int
    metrics: Metrics


def _number(value: Tensor) -> float:
    return np.float64(value.item()) if value.dtype == torch.float64 else float(value)
