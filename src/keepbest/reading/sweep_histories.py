"""The histories of a sweep: each distinct training once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keepbest.errors import RecordError
from keepbest.reading.history import History, Notes
from keepbest.reading.overrides import overrides_of, varying
from keepbest.reading.recorded_stopping import is_of_stopping, varied_stopping
from keepbest.reading.run import Run, open_run
from keepbest.reading.run_files import require_file
from keepbest.records.store import RUN_FILE, read_sweep
from keepbest.records.sweep_record import SweepJob
from keepbest.stopping.replay import whole_best
from keepbest.stopping.trajectory import Trajectory

Read = Callable[[Run, Mapping[str, Any] | None], History]
"""Gives the history of a run, for whose early stopping another config may speak."""


def histories_of_sweep(sweep_dir: Path, read: Read, notes: Notes) -> list[History]:
    """Return each distinct training of a sweep that has a score once: jobs that share one have the same series.

    Args:
        sweep_dir: the sweep's directory, absolute and without links.
        read: gives the history of a run; a job's config speaks for the shared training, which has no early stopping.
        notes: takes up what is to be said of them.
    """
    jobs = read_sweep(sweep_dir).jobs
    groups: dict[str, list[SweepJob]] = defaultdict(list)
    for job in jobs:
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
            found[name] = replace(history, stopping=varied_stopping(history.stopping, varying(jobs)))
    distinct = _distinct(found)
    notes.repeated += len(found) - len(distinct)
    notes.differing += _differing([groups[name] for name in distinct])
    return [found[name] for name in distinct]


def _history_of(sweep_dir: Path, group: Sequence[SweepJob], read: Read) -> History:
    """Return what a training left: its own table, or that of its longest job where its directory is gone."""
    shared = group[0].trajectory
    there = [job.directory for job in group if (sweep_dir / job.directory / RUN_FILE).exists()]
    if shared is None:
        return read(_opened(sweep_dir, group[0].directory), None)
    if (sweep_dir / shared).exists():
        return read(_opened(sweep_dir, shared), _opened(sweep_dir, there[0]).config if there else None)
    if not there:
        raise RecordError(f"neither {shared} nor the record of one of its jobs exists")
    return max((read(_opened(sweep_dir, name), None) for name in there), key=lambda one: one.trajectory.values.size)


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
