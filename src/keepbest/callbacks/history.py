"""The series of values that a training produces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from keepbest.callbacks.batch_boundaries import BoundaryCallback, is_at_boundary
from keepbest.callbacks.logged_metrics import Metrics, changed
from keepbest.records.metrics_table import MetricsTable, Row, row_of
from keepbest.stopping.comparison import Mode, is_better

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

    from keepbest.records.run_record import Objective


_KEY = "keepbest_history"


class Check(NamedTuple):
    """One evaluation of the monitored metric: the epoch (from 0), the optimizer steps taken, the value.

    The value of a metric in double precision is a NumPy float64, so that it is compared as one.
    """

    epoch: int
    step: int
    value: float


class History(Callback, BoundaryCallback):
    """Collects every check of the objective, and writes all metrics to `metrics.csv` as the training goes on.

    A row is written for each validation and for each epoch; where an epoch ends with its validation the two are one
    row. Validation metrics stand in the row of the validation that computed them, training metrics in the row of their
    epoch's end. That row stays open until the module's own epoch-end hooks have logged, which Lightning runs after the
    callbacks': until the next epoch starts or the training ends. A checkpoint holds all of it, so that a resumed
    training goes on with the table as it was then, whatever was written since. One made between two batches holds the
    open row as it is: the epoch has more to say.

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
        self._resumed: dict[str, Any] | None = None  # of an epoch that goes on

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

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the history into the checkpoint, the open row as it will be written."""
        within = is_at_boundary(trainer)
        checks, rows = (self.checks, self.rows) if within else self.as_of_now(trainer)
        checkpoint[_KEY] = {
            "epoch": self._epoch_state(trainer) if within else None,
            "checks": [(check.epoch, check.step, float(check.value)) for check in checks],
            "in_double": bool(checks) and isinstance(checks[0].value, np.float64),
            "validations": self.validations,
            "rows": rows,
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint's history, where a fit does; weights are also loaded to be evaluated."""
        state = checkpoint.get(_KEY)
        if state is None or trainer.state.fn != "fit":
            return
        self.checks, self.best, self.validations = [], None, state["validations"]
        for check in checks_in(checkpoint):
            self._add(check)
        if self._table:
            self._table.restore(state["rows"])
        self._resumed = state.get("epoch")

    def _epoch_state(self, trainer: Trainer) -> dict[str, Any]:
        """Return what is known of the epoch under way. What it has not logged yet is told by the tensors' identity."""
        metrics = trainer.callback_metrics
        return {
            "row": tuple(self._row) if self._row else None,
            "validated": sorted(self._validated),
            "not_yet_logged": [name for name, value in self._before_epoch.items() if metrics.get(name) is value],
        }

    def on_epoch_resumed(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on with the epoch that was under way; what was logged in it is back already."""
        resumed, self._resumed = self._resumed, None
        if resumed is None:
            return
        metrics = trainer.callback_metrics
        self._row = _Row(*resumed["row"]) if resumed["row"] else None
        self._validated = set(resumed["validated"])
        self._before_epoch = {name: metrics[name] for name in resumed["not_yet_logged"] if name in metrics}

    @property
    def rows(self) -> Sequence[Row]:
        """The rows that were written; none where they are kept in memory only."""
        return self._table.rows if self._table else []

    def as_of_now(self, trainer: Trainer) -> tuple[list[Check], list[Row]]:
        """Return checks and rows as they would be if the training ended here, the open row among them."""
        row = self._completed_row(trainer)
        checks = [*self.checks, *self._late_check(row)]
        return checks, [*self.rows, *([row_of(*row[:2], row.numbers)] if row else [])]

    def best_by(self, min_delta: float) -> Check | None:
        """Return the last check that was better by `min_delta` than the one accepted before it."""
        return best_of(self.checks, self.objective.mode, min_delta)

    def _take_check(self, row: _Row) -> None:
        if self.objective.monitor in row.metrics:
            self._add(Check(row.epoch, row.step, _number(row.metrics[self.objective.monitor])))

    def _add(self, check: Check) -> None:
        self.checks.append(check)
        if is_better(check.value, self.best.value if self.best else None, self.objective.mode):
            self.best = check

    def _completed_row(self, trainer: Trainer) -> _Row | None:
        """Return the open row with what the epoch has logged by now."""
        if self._row is None:
            return None
        fresh = changed(trainer.callback_metrics, self._before_epoch)
        late = {name: value for name, value in fresh.items() if name not in self._validated}
        return self._row._replace(metrics={**self._row.metrics, **late})

    def _late_check(self, row: _Row | None) -> list[Check]:
        """Return the check of a metric that training logs, which is known when its epoch is over."""
        monitor = self.objective.monitor
        if row is None or monitor in self._validated or monitor not in row.metrics:
            return []
        return [Check(row.epoch, row.step, _number(row.metrics[monitor]))]

    def _close_epoch(self, trainer: Trainer) -> None:
        self._row = self._completed_row(trainer)
        for check in self._late_check(self._row):
            self._add(check)
        self._write_row()

    def _write_row(self) -> None:
        row, self._row = self._row, None
        if row and self._table:
            self._table.append(row.epoch, row.step, row.numbers)


def checks_in(checkpoint: Mapping[str, Any]) -> list[Check]:
    """Return the checks that a checkpoint of a training with a `History` holds, none of another."""
    state = checkpoint.get(_KEY) or {"checks": [], "in_double": False}
    number = np.float64 if state["in_double"] else float
    return [Check(epoch, step, number(value)) for epoch, step, value in state["checks"]]


def best_of(checks: Iterable[Check], mode: Mode, min_delta: float = 0.0) -> Check | None:
    """Return the last check that was better by `min_delta` than the one accepted before it."""
    best: Check | None = None
    for check in checks:
        if is_better(check.value, best.value if best else None, mode, min_delta):
            best = check
    return best


class _Row(NamedTuple):
    epoch: int
    step: int
    metrics: Metrics

    @property
    def numbers(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.metrics.items()}


def _number(value: Tensor) -> float:
    return np.float64(value.item()) if value.dtype == torch.float64 else float(value)
