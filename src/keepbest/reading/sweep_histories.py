"""The histories of a sweep: each distinct training once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keepbest.errors import RecordError
from keepbest.reading.overrides import overrides_of
from keepbest.reading.run import Run, open_run
from keepbest.reading.run_files import require_file
from keepbest.records.run_record import Objective
from keepbest.records.store import RUN_FILE, read_sweep
from keepbest.records.sweep_record import SweepJob
from keepbest.stopping.outcomes import NONE
from keepbest.stopping.replay import best_so_far
from keepbest.stopping.trajectory import Trajectory

History = tuple[Objective, Trajectory]
_POLICY = ("callbacks.early_stopping", "callbacks/early_stopping")  # where the keys of its overrides begin


@dataclass
class Notes:
    """What is to be said of the histories of sweeps.

    Args:
        left_out: trainings without a history, or without a finite best, in words.
        repeated: how many trainings are left out because they repeat another one.
        differing: the keys of overrides in which the histories differ, apart from the seed and the policy.
    """

    left_out: list[str] = field(default_factory=list)
    repeated: int = 0
    differing: list[str] = field(default_factory=list)


def histories_of_sweep(sweep_dir: Path, read: Callable[[Run], History], notes: Notes) -> list[History]:
    """Return each distinct training of a sweep that has a score once: jobs that share one have the same series.

    Args:
        sweep_dir: the sweep's directory, absolute and without links.
        read: gives the history of a run.
        notes: takes up what is to be said of them.
    """
    groups: dict[str, list[SweepJob]] = defaultdict(list)
    for job in read_sweep(sweep_dir).jobs:
        groups[job.trajectory or job.directory].append(job)
    found: dict[str, tuple[Run, History]] = {}
    for name in groups:
        try:
            run = open_run(require_file(sweep_dir, f"{name}/{RUN_FILE}").parent)
            objective, trajectory = read(run)
        except RecordError as error:  # not begun, or failed before its first check
            notes.left_out.append(f"{name}: {error}")
            continue
        if best_so_far(trajectory, objective.mode)[-1] == NONE:  # no policy has a score in it, and so none a mean
            notes.left_out.append(f"{name}: it has no finite best {objective.monitor}")
        else:
            found[name] = run, (objective, trajectory)
    distinct = _distinct(found)
    notes.repeated += len(found) - len(distinct)
    notes.differing += _differing([groups[name] for name in distinct])
    return [found[name][1] for name in distinct]


def _distinct(found: Mapping[str, tuple[Run, History]]) -> list[str]:
    """Return the longest of the runs that were trained alike, policy apart: without sharing, each job trains anew."""
    longest: dict[str, dict[str, Any]] = {}
    for name, (run, (_, trajectory)) in sorted(found.items(), key=lambda item: -item[1][1][1].values.size):
        setting = _but_for_policy(run)
        if not any(setting == other and _begins(found[kept][1][1], trajectory) for kept, other in longest.items()):
            longest[name] = setting
    return list(longest)


def _but_for_policy(run: Run) -> dict[str, Any]:
    callbacks = run.config.get("callbacks")
    others = dict(callbacks, early_stopping=None) if isinstance(callbacks, Mapping) else callbacks
    return {**run.config, "callbacks": others}


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
    keys = dict.fromkeys(key for group in given for key in group[0] if key != "seed" and not key.startswith(_POLICY))
    shared = [key for key in keys if all(len({job.get(key) for job in group}) == 1 for group in given)]
    return [key for key in shared if len({group[0].get(key) for group in given}) > 1]
