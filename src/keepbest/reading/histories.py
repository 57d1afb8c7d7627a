"""Recorded histories, wherever they come from: runs, sweeps, tables, numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keepbest.errors import ConfigError, KeepbestError
from keepbest.reading.metric_csv import read_metric_csv
from keepbest.reading.run import Run, open_run
from keepbest.reading.sweep_histories import History, Notes, histories_of_sweep
from keepbest.records.metrics_table import METRICS_FILE, RecordedCheck
from keepbest.records.run_record import Objective
from keepbest.records.store import RUN_FILE, SWEEP_FILE
from keepbest.stopping.comparison import MODES, Mode
from keepbest.stopping.direction import mode_of
from keepbest.stopping.reasons import StopReason
from keepbest.stopping.trajectory import Trajectory, precision_told_by, trajectory_of

if TYPE_CHECKING:
    import pandas as pd

_LIMITS = (StopReason.MAX_EPOCHS.value, StopReason.MAX_STEPS.value)


@dataclass(frozen=True)
class Wanted:
    """What is to be looked at in each history.

    Args:
        monitor: the metric; None for the only one, or the objective's.
        mode: the direction; None for the objective's.
        min_epochs: epochs before any stop; None for what the run's trainer had.
    """

    monitor: str | None = None
    mode: Mode | None = None
    min_epochs: int | None = None


@dataclass(frozen=True)
class Histories:
    """Trajectories of one objective.

    Args:
        trajectories: at least one.
        objective: of all of them.
        notes: what is to be said of them.
    """

    trajectories: list[Trajectory]
    objective: Objective
    notes: Notes


def histories_of(source: Any, wanted: Wanted) -> Histories:
    """Return the histories of whatever holds some.

    Args:
        source: a `Run`; the path of a run, a sweep or a CSV file; a DataFrame; a series of numbers; a list of these.
        wanted: what to look at in them.

    Raises:
        ConfigError: for what is no history, for a metric or a direction that is not clear, and for several objectives.
        KeepbestError: when a run cannot be opened.
    """
    if wanted.mode is not None and wanted.mode not in MODES:
        raise ConfigError("mode must be 'min' or 'max'", received=wanted.mode)
    notes = Notes()
    found = [_read(item, wanted, notes) for item in _items(source)]
    pairs = [pair for part in found for pair in part]
    objectives = list(dict.fromkeys(objective for objective, _ in pairs))
    if not pairs:
        raise ConfigError("there must be a history to replay", received=notes.left_out or source)
    if len(objectives) > 1:
        shown = ", ".join(f"{objective.monitor} ({objective.mode})" for objective in objectives)
        raise ConfigError("histories that are replayed together must have one objective", received=shown)
    return Histories([trajectory for _, trajectory in pairs], objectives[0], notes)


def _items(source: Any) -> list[Any]:
    """Return the histories that are meant: a list of numbers is one."""
    if isinstance(source, (list, tuple)) and source and not np.isscalar(source[0]):
        return list(source)
    if isinstance(source, (list, tuple)) and source and isinstance(source[0], str):
        return list(source)
    return list(source) if getattr(source, "ndim", 1) == 2 and isinstance(source, np.ndarray) else [source]


def _read(source: Any, wanted: Wanted, notes: Notes) -> list[History]:
    if isinstance(source, (str, Path)):
        return _read_path(Path(source), wanted, notes)
    if isinstance(source, Run):
        return [_of_run(source, wanted)]
    if isinstance(directory := getattr(source, "directory", None), Path):  # an opened sweep
        return _read_path(directory, wanted, notes)
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return [_of_frame(source, wanted)]
    trajectory = trajectory_of(source)
    if hasattr(source, "iloc"):  # a column of a table: float64, whatever the metric was
        trajectory = replace(trajectory, precision=precision_told_by(trajectory.values))
    name = wanted.monitor or str(getattr(source, "name", None) or "value")
    return [(_objective(name, wanted), _with_min_epochs(trajectory, wanted))]


def _read_path(path: Path, wanted: Wanted, notes: Notes) -> list[History]:
    try:
        path = path.expanduser()
        is_dir, is_file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError, ValueError):
        is_dir = is_file = False
    place = path.parent if is_file and path.name in (RUN_FILE, SWEEP_FILE, METRICS_FILE) else path
    is_known = is_file or (is_dir and any(os.path.lexists(path / name) for name in (RUN_FILE, SWEEP_FILE)))
    if not is_known:
        remedy = f"Name the file: {path / METRICS_FILE}" if is_dir and (path / METRICS_FILE).is_file() else None
        raise ConfigError("a history must be a run, a sweep or a CSV file", received=str(path), remedy=remedy)
    if (place / SWEEP_FILE).is_file() and path.name not in (RUN_FILE, METRICS_FILE):
        return histories_of_sweep(place.resolve(), lambda run: _of_run(run, wanted), notes)
    if is_dir or (place / RUN_FILE).is_file():
        return [_of_run(open_run(place), wanted)]
    name, trajectory = read_metric_csv(path, wanted.monitor)
    return [(_objective(name, wanted), _with_min_epochs(trajectory, wanted))]


def _of_run(run: Run, wanted: Wanted) -> History:
    own = Objective(**run.record["objective"])
    objective = own if wanted.monitor in (None, own.monitor) else _objective(wanted.monitor, wanted)
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
        name=run.record["id"],
    )
    return objective, trajectory


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


def _count(run: Run, name: str) -> int | None:
    """Return a limit of the run's trainer; None without one."""
    trainer = run.config.get("trainer")
    value = trainer.get(name) if isinstance(trainer, Mapping) else None
    return value if isinstance(value, int) and value >= 0 else None


def _of_frame(frame: pd.DataFrame, wanted: Wanted) -> History:
    metrics = [str(name) for name in frame.columns if name not in ("epoch", "step")]
    name = wanted.monitor if wanted.monitor is not None or len(metrics) != 1 else metrics[0]
    if name is None or name not in metrics:
        raise ConfigError(
            "monitor must name a column of the table", received=name, remedy=f"It has {', '.join(metrics) or 'none'}"
        )
    column = frame[name]
    if column.isna().any():
        raise ConfigError(
            f"a table does not say whether a NaN of {name!r} was measured, or means that there was no check",
            remedy=f"Drop the rows without a check, with dropna(subset=[{name!r}]), or hand over a run or a CSV file",
        )
    epochs = frame["epoch"].tolist() if "epoch" in frame.columns else None
    if epochs is not None and (np.asarray(epochs, dtype=float) % 1 != 0).any():
        raise ConfigError("the column 'epoch' of a table must hold whole numbers", received=epochs)
    array = column.to_numpy()
    trajectory = trajectory_of(array, epochs)
    if array.dtype == np.float64:
        trajectory = replace(trajectory, precision=precision_told_by(trajectory.values))
    return _objective(name, wanted), _with_min_epochs(trajectory, wanted)


def _with_min_epochs(trajectory: Trajectory, wanted: Wanted) -> Trajectory:
    return replace(trajectory, may_stop=trajectory.epochs + 1 >= (wanted.min_epochs or 0))


def _objective(monitor: str, wanted: Wanted) -> Objective:
    if wanted.mode is None:
        raise ConfigError(
            f"mode must say which direction of {monitor} is better, nothing here tells it",
            remedy=_remedy(monitor),
        )
    return Objective(monitor, wanted.mode)


def _remedy(monitor: str) -> str:
    try:
        return f"Give mode 'min' or 'max'; going by the name, {mode_of(monitor)!r}"
    except KeepbestError:
        return "Give mode 'min' or 'max'"
