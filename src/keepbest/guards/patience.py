"""Patience counts checks: what that means in epochs, and whether it can run out at all."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback, GradientAccumulationScheduler

from keepbest.guards.check_schedule import CheckSchedule, TrainingLength, counted

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import EarlyStopping

log = logging.getLogger(__name__)


class PatienceGuard(Callback):
    """Says in one line what the patience of early stopping means, where that is easily missed.

    A warning if the training ends before patience can run out; otherwise a line if a check is not an epoch. Nothing is
    said of a training whose checks cannot be counted ahead: time-based validation, streams of unknown length.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the checks to come."""
        stopping = trainer.early_stopping_callback
        is_dry_run: bool = trainer.fast_dev_run  # type: ignore[attr-defined]  # set by a function of Lightning's
        if stopping is None or is_dry_run or not trainer.is_global_zero:
            return
        if (schedule := schedule_of(trainer, stopping)) is None:
            return
        length = length_of(trainer, schedule.batches_per_epoch)
        patience = max(stopping.patience, 1)  # 0 behaves as 1
        means = _meaning(patience, schedule)
        if length and (earliest := earliest_stop(stopping, schedule)) > schedule.count(length):
            log.warning(
                "early stopping cannot happen by patience: %s, so it stops at check %g at the earliest, and %s gives "
                "%s. Train longer or be less patient.",
                means or f"patience is {_checks(patience)}", earliest, length.set_by, _checks(schedule.count(length)),
            )  # fmt: skip
        elif means:
            log.info("%s.", means)


def schedule_of(trainer: Trainer, stopping: EarlyStopping) -> CheckSchedule | None:
    """Return when early stopping is going to look, None where that cannot be told ahead."""
    batches, every = trainer.num_training_batches, trainer.val_check_batch
    every_epochs = trainer.check_val_every_n_epoch
    if not isinstance(batches, int) or not isinstance(every, int) or 0 in (batches, every, every_epochs):
        return None
    at_epoch_end = bool(getattr(stopping, "_check_on_train_epoch_end", False))
    if not (at_epoch_end or trainer.enable_validation):
        return None
    return CheckSchedule(batches, every, every_epochs, at_epoch_end)


def length_of(trainer: Trainer, batches_per_epoch: int) -> TrainingLength | None:
    """Return how long the training lasts if nothing stops it, None without an end that can be told ahead.

    `trainer.min_epochs` makes no training longer: Lightning ends at `max_epochs` and `max_steps` in any case. Where
    steps cannot be counted ahead `max_epochs` alone is the limit, and the training may be shorter.
    """
    max_epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs
    accumulated = trainer.accumulate_grad_batches
    if trainer.max_steps not in (None, -1) and _counts_steps(trainer):
        steps_per_epoch = math.ceil(batches_per_epoch / accumulated)  # the last batch makes a step in any case
        epochs, steps = divmod(trainer.max_steps, steps_per_epoch)
        if epochs < max_epochs:
            return TrainingLength(epochs, steps * accumulated, f"trainer.max_steps={trainer.max_steps}")
    return None if max_epochs == math.inf else TrainingLength(int(max_epochs), 0, f"trainer.max_epochs={max_epochs}")


def earliest_stop(stopping: EarlyStopping, schedule: CheckSchedule) -> float:
    """Return the first check, counted from 1, at which patience can run out.

    The first value that is looked at is always an improvement. With a baseline it may count as waiting all the same.
    """
    start_from_epoch = getattr(stopping, "start_from_epoch", 0)
    has_baseline = getattr(stopping, "baseline", None) is not None
    looked_at = max(stopping.patience, 2) if has_baseline else max(stopping.patience, 1) + 1
    return schedule.count(TrainingLength(start_from_epoch)) + looked_at


def _counts_steps(trainer: Trainer) -> bool:
    """Whether an optimizer step comes every `accumulate_grad_batches` and at the end of an epoch, all the time."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector, not in __init__
    changes = any(isinstance(callback, GradientAccumulationScheduler) for callback in callbacks)
    own = trainer.strategy.handles_gradient_accumulation and trainer.accumulate_grad_batches > 1
    return trainer.lightning_module.automatic_optimization and not changes and not own


def _meaning(patience: float, schedule: CheckSchedule) -> str:
    """Return what patience is in epochs, nothing where a check is an epoch."""
    epochs = schedule.epochs(patience)
    if epochs is None or epochs == patience:
        return ""
    return f"patience {_checks(patience)} means {counted(epochs, 'epoch', 'epochs')}: validation comes {schedule}"


def _checks(count: float) -> str:
    return counted(count, "check", "checks")
