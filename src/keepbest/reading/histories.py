"""Recorded histories, wherever they come from: runs, sweeps, tables, numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keepbest.errors import ConfigError
from keepbest.reading.differences import differences
from keepbest.reading.history import History, Notes, Wanted, objective_of
from keepbest.reading.metric_columns import epoch_column, is_counter, metric_column, require_different, whole_epochs
from keepbest.reading.metric_csv import read_metric_csv
from keepbest.reading.recorded_stopping import RecordedStopping, common_stopping, is_of_stopping
from keepbest.reading.run import Run, open_run
from keepbest.reading.run_history import history_of_run
from keepbest.reading.sweep_histories import configs_of_jobs, histories_of_sweep
from keepbest.records.metrics_table import METRICS_FILE
from keepbest.records.run_record import Objective
from keepbest.records.store import RUN_FILE, SWEEP_FILE
from keepbest.stopping.comparison import MODES
from keepbest.stopping.trajectory import Trajectory, precision_told_by, trajectory_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Histories:
    """Trajectories of one objective.

    Args:
        trajectories: at least one.
        objective: of all of them.
        stopping: what the early stopping of all of them was set to.
        notes: what is to be said of them.
    """

    trajectories: list[Trajectory]
    objective: Objective
    stopping: RecordedStopping
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
    sources = [_read(item, wanted, notes) for item in _items(source)]
    found = [history for part in sources for history in part]
    objectives = list(dict.fromkeys(history.objective for history in found))
    if not found:
        raise ConfigError("there must be a history to replay", received=_shown(notes.left_out) or source)
    if len(objectives) > 1:
        shown = ", ".join(f"{objective.monitor} ({objective.mode})" for objective in objectives)
        raise ConfigError("histories that are replayed together must have one objective", received=shown)
    if len(sources) > 1:
        notes.differing += [key for key in _differing(found) if key not in notes.differing]
    stopping = common_stopping(history.stopping for history in found)
    return Histories([history.trajectory for history in found], objectives[0], stopping, notes)


def _shown(left_out: Sequence[str]) -> str:
    more = f"; and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return f"{left_out[0]}{more}" if left_out else ""


def _differing(histories: Sequence[History]) -> list[str]:
    """Return the settings in which the configs of runs differ, apart from the seed and the policy.

    Where the class of something differs, its settings do not count on their own.
    """
    found = differences([history.config for history in histories if history.config is not None])
    classes = [key.removesuffix("._target_") for key in found if key.endswith("._target_")]
    others = (key for key in found if not any(key.startswith(f"{name}.") for name in classes))
    return [key for key in (*classes, *others) if key != "seed" and not is_of_stopping(key)]


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
        return [history_of_run(source, wanted, configs_of_jobs(source.directory))]
    if isinstance(directory := getattr(source, "directory", None), Path):  # an opened sweep
        return _read_path(directory, wanted, notes)
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return [_of_frame(source, wanted)]
    trajectory = trajectory_of(source)
    if hasattr(source, "iloc"):  # a column of a table: float64, whatever the metric was
        trajectory = replace(trajectory, precision=precision_told_by(trajectory.values))
    name = wanted.monitor or str(getattr(source, "name", None) or "value")
    return [_of_numbers(name, trajectory, wanted)]


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
        return histories_of_sweep(place.resolve(), lambda run, jobs: history_of_run(run, wanted, jobs), notes)
    if is_dir or (place / RUN_FILE).is_file():
        run = open_run(place)
        return [history_of_run(run, wanted, configs_of_jobs(run.directory))]
    name, trajectory = read_metric_csv(path, wanted.monitor, notes.left_out)
    return [_of_numbers(name, trajectory, wanted)]


def _of_frame(frame: pd.DataFrame, wanted: Wanted) -> History:
    names = [str(name) for name in frame.columns]
    require_different("a table", names)
    metrics = [name for name in names if not is_counter(name) and frame.iloc[:, names.index(name)].notna().any()]
    name = metric_column("the table", metrics, wanted.monitor)
    column = frame.iloc[:, names.index(name)]
    if column.isna().any():
        raise ConfigError(
            f"a table does not say whether a NaN of {name!r} was measured, or means that there was no check",
            remedy=f"Drop the rows without a check, with dropna(subset=[{name!r}]), or hand over a run or a CSV file",
        )
    epochs = None
    levels = [str(level) for level in frame.index.names]
    if (counted := epoch_column(names)) is not None:
        epochs = whole_epochs(counted, "a table", frame.iloc[:, names.index(counted)].tolist()).tolist()
    elif (counted := epoch_column(levels)) is not None:
        epochs = whole_epochs(counted, "a table", frame.index.get_level_values(levels.index(counted)).tolist()).tolist()
    array = _numbers_of(name, column.to_numpy())
    trajectory = trajectory_of(array, epochs)
    if array.dtype == np.float64:
        trajectory = replace(trajectory, precision=precision_told_by(trajectory.values))
    return _of_numbers(name, trajectory, wanted)


def _numbers_of(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers of a column, also where its type does not say that it holds nothing else."""
    if array.dtype.kind in "fiub":
        return array
    other = next((value for value in array if not isinstance(value, Real)), None)
    if other is None:
        with suppress(OverflowError):  # a whole number that no float holds
            return array.astype(np.float64)
    raise ConfigError(
        f"column {name!r} of a table must hold numbers",
        received=other,
        remedy="Turn its values into numbers, as pandas.to_numeric does",
    )


def _of_numbers(name: str, trajectory: Trajectory, wanted: Wanted) -> History:
    """Return the history of a metric of which nothing else is known."""
    may_stop = trajectory.epochs + 1 >= (wanted.min_epochs or 0)
    needed = (f"trainer.min_epochs={wanted.min_epochs}",) if wanted.min_epochs else ()
    return History(objective_of(name, wanted), replace(trajectory, may_stop=may_stop), RecordedStopping(needed=needed))
