"""The histories of a sweep: each distinct training once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keepbest.errors import RecordError
from keepbest.reading.config_reader import ConfigReader
from keepbest.reading.history import History, Notes
from keepbest.reading.overrides import overrides_of
from keepbest.reading.recorded_stopping import common_stopping, is_of_stopping
from keepbest.reading.run import Run, open_run
from keepbest.reading.run_files import require_file, require_inside
from keepbest.records.locations import sweep_directory
from keepbest.records.store import MEMBERS_FILE, RUN_FILE, read_sweep
from keepbest.records.sweep_record import SweepJob
from keepbest.stopping.replay import whole_best
from keepbest.stopping.trajectory import Trajectory

Read = Callable[[Run, Sequence[Mapping[str, Any]] | None], History]
"""Gives the history of a run; of a shared training with the configs of its jobs."""


def histories_of_sweep(sweep_dir: Path, read: Read, notes: Notes) -> list[History]:
    """Return each distinct training of a sweep that has a score once: jobs that share one have the same series.

    Args:
        sweep_dir: the sweep's directory, absolute and without links.
        read: gives the history of a run.
        notes: takes up what is to be said of them.
    """
    groups: dict[str, list[SweepJob]] = defaultdict(list)
    for job in read_sweep(sweep_dir).jobs:
        groups[job.trajectory or job.directory].append(job)
    found: dict[str, History] = {}
    for name, group in groups.items():
        try:
            history = _history_of(sweep_dir, group, read)
        except RecordError as error:  # not begun, or failed before its first check
            notes.left_out.append(f"{_label(group)}: {str(error).rstrip('.')}")
            continue
        if whole_best(history.trajectory, history.objective.mode) is None:  # no policy has a score in it
            notes.left_out.append(f"{_label(group)}: it has no finite best {history.objective.monitor}")
        else:
            found[name] = history
    if not found:
        return []
    distinct = _distinct(found)
    notes.repeated += len(found) - len(distinct)
    notes.differing += _differing([groups[name] for name in distinct])
    stopping = common_stopping(history.stopping for history in found.values())
    return [replace(found[name], stopping=stopping) for name in distinct]


def _history_of(sweep_dir: Path, group: Sequence[SweepJob], read: Read) -> History:
    """Return what a training left: its own table, or that of its longest job where its directory is gone."""
    shared = group[0].trajectory
    if shared is None:
        return read(_opened(sweep_dir, group[0].directory), None)
    if (sweep_dir / shared).exists():
        return read(_opened(sweep_dir, shared), _configs(sweep_dir, group))
    there = [job.directory for job in group if (sweep_dir / job.directory / RUN_FILE).exists()]
    if not there:
        raise RecordError(f"neither {shared} nor the record of one of its jobs exists")
    found = [read(_opened(sweep_dir, name), None) for name in there]
    longest = max(found, key=lambda history: history.trajectory.values.size)
    return replace(longest, stopping=common_stopping(history.stopping for history in found))


def configs_of_jobs(training: Path) -> list[Mapping[str, Any]] | None:
    """Return the configs of the jobs that share a training, as far as they are there; None for a run of its own.

    Args:
        training: a run's directory, absolute.
    """
    if not (training / MEMBERS_FILE).exists():
        return None
    sweep_dir = sweep_directory(training)
    if sweep_dir is None:
        return []
    jobs = read_sweep(sweep_dir).jobs
    return _configs(sweep_dir, [job for job in jobs if job.trajectory and sweep_dir / job.trajectory == training])


def _configs(sweep_dir: Path, group: Sequence[SweepJob]) -> list[Mapping[str, Any]]:
    reader, found = ConfigReader(), list[Mapping[str, Any]]()
    for job in group:
        with suppress(RecordError):  # one whose directory is gone
            found.append(reader.read(require_inside(sweep_dir, job.directory, "sweep"), None))
    return found


def _opened(sweep_dir: Path, name: str) -> Run:
    return open_run(require_file(sweep_dir, f"{name}/{RUN_FILE}").parent)


def _label(group: Sequence[SweepJob]) -> str:
    numbers = ", ".join(str(job.number) for job in group[:3])
    more = ", ..." if len(group) > 3 else ""
    return f"job {numbers}" if len(group) == 1 else f"training of jobs {numbers}{more}"


def _distinct(found: Mapping[str, History]) -> list[str]:
    """Return the longest of the runs that were trained alike, policy apart: without sharing, each job trains anew."""
    longest: dict[str, dict[str, Any]] = {}
    for name, history in sorted(found.items(), key=lambda item: -item[1].trajectory.values.size):
        setting, one = _but_for_policy(history.config or {}), history.trajectory
        if not any(setting == other and _begins(found[kept].trajectory, one) for kept, other in longest.items()):
            longest[name] = setting
    return list(longest)


def _but_for_policy(config: Mapping[str, Any]) -> dict[str, Any]:
    callbacks = config.get("callbacks")
    others = dict(callbacks, early_stopping=None) if isinstance(callbacks, Mapping) else callbacks
    return {**config, "callbacks": others}


def _begins(longer: Trajectory, shorter: Trajectory) -> bool:
    size = shorter.values.size
    same_places = np.array_equal(longer.epochs[:size], shorter.epochs)
    return same_places and np.array_equal(longer.values[:size], shorter.values, equal_nan=True)


def _differing(groups: Iterable[Sequence[SweepJob]]) -> list[str]:
    """Return the keys of the overrides in which trainings differ, apart from the seed and the policy.

    Args:
        groups: the jobs of each training, at least one.
    """
    given = [[overrides_of(job) for job in group] for group in groups]
    keys = dict.fromkeys(key for group in given for key in group[0] if key != "seed" and not is_of_stopping(key))
    shared = [key for key in keys if all(len({job.get(key) for job in group}) == 1 for group in given)]
    return [key for key in shared if len({group[0].get(key) for group in given}) > 1]
