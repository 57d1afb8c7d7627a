"""The history of a run: its checks, and what its record and config tell about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keepbest.errors import ConfigError
from keepbest.reading.history import History, Wanted, objective_of
from keepbest.reading.recorded_stopping import common_stopping, recorded_stopping, stopping_entry, unknown_stopping
from keepbest.reading.run import Run
from keepbest.records.metrics_table import RecordedCheck
from keepbest.records.run_record import Objective
from keepbest.stopping.reasons import StopReason
from keepbest.stopping.trajectory import Trajectory, precision_told_by

_LIMITS = (StopReason.MAX_EPOCHS.value, StopReason.MAX_STEPS.value)


def history_of_run(run: Run, wanted: Wanted, jobs: Sequence[Mapping[str, Any]] | None = None) -> History:
    """Return the history of a run.

    Args:
        run: whose checks are meant.
        wanted: what to look at.
        jobs: the configs of the jobs that share this training, which has no early stopping of its own; None for a run
            that is a job itself.

    Raises:
        ConfigError: for a metric without a direction, and a direction that is not the objective's.
        KeepbestError: for a run without a check, or with a table that cannot be read.
    """
    own = Objective(**run.record["objective"])
    objective = own if wanted.monitor in (None, own.monitor) else objective_of(wanted.monitor, wanted)
    if wanted.mode not in (None, objective.mode):
        raise ConfigError(f"mode must be that of the run's objective, {own.monitor} ({own.mode})", received=wanted.mode)
    checks = run.checks(objective.monitor)
    values = np.array([check.value for check in checks], dtype=np.float64)
    trajectory = Trajectory(
        values,
        precision_told_by(values),
        np.array([check.epoch for check in checks], dtype=np.int64),
        may_stop=_may_stop(run, checks, wanted),
        trained_epochs=run.record["timing"]["epochs_trained"],
        limit=_limit(run, checks),
        kept_min_delta=_kept_min_delta(run) if objective == own else 0.0,
        keeps_policy_best=_keeps_policy_best(run),
        name=run.record["id"],
    )
    needed = _needed(run, objective, own, wanted)
    configs = [run.config] if jobs is None else jobs
    found = [recorded_stopping(config, own.mode, needed, own_metric=objective == own) for config in configs]
    return History(objective, trajectory, common_stopping(found or [unknown_stopping(needed)]), run.config)


def _needed(run: Run, objective: Objective, own: Objective, wanted: Wanted) -> list[str]:
    """Return the overrides, apart from early stopping's, that a training needs to be as what is replayed."""
    needed = []
    if objective != own:
        needed += [f"objective.monitor={objective.monitor}", f"objective.mode={objective.mode}"]
        needed += ["callbacks.model_checkpoint.min_delta=0.0"] if _kept_min_delta(run) else []  # in another unit
    if wanted.min_epochs is not None and wanted.min_epochs != (_count(run, "min_epochs") or 0):
        needed.append(f"trainer.min_epochs={wanted.min_epochs}")
    return needed


def _may_stop(run: Run, checks: Sequence[RecordedCheck], wanted: Wanted) -> Any:
    """Return where the trainer's `min_epochs` and `min_steps` allowed a stop."""
    least = _count(run, "min_epochs") if wanted.min_epochs is None else wanted.min_epochs
    min_epochs, min_steps = least or 0, _count(run, "min_steps") or 0
    return np.array([check.epoch + check.ends_epoch >= min_epochs and check.step >= min_steps for check in checks])


def _limit(run: Run, checks: Sequence[RecordedCheck]) -> StopReason | None:
    """Return the trainer's limit that the training has reached, for which every policy would have ended there."""
    reason = (run.record["stopping"] or {}).get("reason")
    if reason in _LIMITS:
        return StopReason(reason)
    max_epochs, max_steps = _count(run, "max_epochs"), _count(run, "max_steps")
    if max_epochs is not None and (run.record["timing"]["epochs_trained"] or 0) >= max_epochs:
        return StopReason.MAX_EPOCHS
    steps = max(checks[-1].step, (run.record["last"] or {}).get("step") or 0)
    return StopReason.MAX_STEPS if max_steps is not None and steps >= max_steps else None


def _kept_min_delta(run: Run) -> float:
    """Return the `min_delta` of the run's own checkpoint callback."""
    callbacks = run.config.get("callbacks")
    checkpoint = callbacks.get("model_checkpoint") if isinstance(callbacks, Mapping) else None
    value = checkpoint.get("min_delta") if isinstance(checkpoint, Mapping) else None
    return float(value) if isinstance(value, (int, float)) and value > 0 else 0.0


def _keeps_policy_best(run: Run) -> bool:
    """Return whether the run kept what its early stopping accepted last, having no checkpoint callback."""
    callbacks = run.config.get("callbacks")
    has_checkpoint = isinstance(callbacks, Mapping) and callbacks.get("model_checkpoint") is not None
    return not has_checkpoint and (stopping_entry(run.config) or {}).get("restore_best_weights") == "policy_best"


def _count(run: Run, name: str) -> int | None:
    """Return a limit of the run's trainer; None without one."""
    trainer = run.config.get("trainer")
    value = trainer.get(name) if isinstance(trainer, Mapping) else None
    return value if isinstance(value, int) and value >= 0 else None
