"""The trainings of a sweep, each once, as their metrics tell them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.errors import printable
from keepbest.reading.overrides import overrides_of, short_names, varying
from keepbest.reading.run import Run
from keepbest.records.metrics_table import METRICS_FILE
from keepbest.records.run_record import RunRecord
from keepbest.records.store import RUN_FILE
from keepbest.records.sweep_record import SweepJob

if TYPE_CHECKING:
    from keepbest.reports.sweep_curves import JobEnd, TrainingCurve


def curves_of(
    jobs: Sequence[SweepJob],
    records: Mapping[int, RunRecord],
    best: int | None,
    open_directory: Callable[[str], Path],
    open_run: Callable[[Path], Run],
) -> list[TrainingCurve]:
    """Return the curve of each distinct training that has a finite check.

    Args:
        jobs: of the sweep; those that share a training name its directory.
        records: of the jobs that have one.
        best: the number of the best job.
        open_directory: turns a path of the sweep's record into an absolute one.
        open_run: opens the run in a directory.

    Raises:
        RecordError: for a table of metrics that cannot be read.
        IntegrityError: for one that is not as it was recorded.
    """
    from keepbest.reports.sweep_curves import TrainingCurve

    groups: dict[str, list[SweepJob]] = defaultdict(list)
    for job in jobs:
        if job.number in records:
            groups[job.trajectory or job.directory].append(job)
    labels = _labels(list(groups.values()))
    curves = []
    for label, group in zip(labels, groups.values(), strict=True):
        monitor = records[group[0].number].objective.monitor
        checks = _checks(group, records, monitor, open_directory, open_run)
        if any(math.isfinite(value) for _, value in checks):
            ends = [_end(job.number, records[job.number]) for job in group]
            at = _best_of(records[best]) if best in {job.number for job in group} and best is not None else None
            curves.append(TrainingCurve(label, checks, ends, at))
    return curves


def _checks(
    group: Sequence[SweepJob],
    records: Mapping[int, RunRecord],
    monitor: str,
    open_directory: Callable[[str], Path],
    open_run: Callable[[Path], Run],
) -> list[tuple[int, float]]:
    """Return epoch and value of each check of a training: from its own table, else from that of its longest job."""
    longest = sorted(group, key=lambda job: -(records[job.number].timing.epochs_trained or 0))
    shared = [group[0].trajectory] if group[0].trajectory else []
    for name in (*shared, *(job.directory for job in longest)):
        directory = open_directory(name)
        if (directory / RUN_FILE).is_file() and (directory / METRICS_FILE).is_file():
            metrics = open_run(directory).metrics
            if monitor not in metrics:
                return []
            pairs = zip(metrics["epoch"], metrics[monitor], strict=True)
            return [(int(epoch), float(value)) for epoch, value in pairs if not math.isnan(value)]
    return []


def _end(number: int, record: RunRecord) -> JobEnd:
    from keepbest.reports.sweep_curves import JobEnd

    stopping, epochs = record.stopping, record.timing.epochs_trained
    last = None if epochs is None else epochs - 1
    if stopping is None:
        return JobEnd(number, last, 0)
    return JobEnd(number, last if stopping.stopped_epoch is None else stopping.stopped_epoch, stopping.checks)


def _best_of(record: RunRecord) -> tuple[int, float] | None:
    if record.best_epoch is None or record.best_model_score is None:
        return None
    return record.best_epoch, record.best_model_score


def _labels(groups: Sequence[Sequence[SweepJob]]) -> list[str]:
    """Return what tells each group of jobs from the others: the overrides that all of its jobs have in common."""
    keys = varying(job for group in groups for job in group)
    names = dict(zip(keys, short_names(keys), strict=True))
    labels = []
    for group in groups:
        given = [overrides_of(job) for job in group]
        common = [key for key in keys if len({overrides.get(key) for overrides in given}) == 1 and key in given[0]]
        text = ", ".join(f"{names[key]}={given[0][key]}" for key in common)
        labels.append(printable(text) or (f"job {group[0].number}" if len(groups) > 1 else "one training"))
    return labels
