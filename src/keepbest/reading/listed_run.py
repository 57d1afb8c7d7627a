"""A row of the catalogue: a run, a job of a sweep, or a sweep, as its record says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from keepbest.reading.overrides import short_names
from keepbest.records.run_record import RunRecord

COLUMNS = (
    "name", "kind", "status", "monitor", "mode", "score", "best_epoch", "stopped_epoch", "reason", "epochs_trained",
    "started", "overrides", "varying", "path", "problem",
)  # fmt: skip
ALIASES = {"objective": "monitor", "stop_epoch": "stopped_epoch", "epochs": "epochs_trained"}


_FIRST_YEAR, _LAST_YEAR = 1971, 9000  # every time zone and every system can show what lies between


@dataclass(frozen=True)
class ListedRun:
    """One row. A sweep's results, config and overrides are those of its best job.

    Args:
        name: its path relative to the listed directory.
        path: its directory, as a person would write it.
        kind: what it is.
        status: of a run or a job; of a sweep that of all its jobs, or how many have which.
        record: of the run, the job, or the sweep's best job; None where there is none.
        directory: where that record lies, absolute.
        overrides: by key, as they were written.
        varying: the keys of the overrides in which the jobs of its sweep differ.
        started: when the training began, of a sweep the first.
        epochs_trained: of the run, the job, or the sweep's best job.
        time: seconds since the epoch by which rows are in order: when the run or its sweep began, or, where that is not
            known, when its record was written.
        problem: why it cannot be read.
        statuses: of a sweep, those that its jobs have.
    """

    name: str
    path: str
    kind: Literal["run", "job", "sweep"]
    status: str
    record: RunRecord | None = None
    directory: Path | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    varying: tuple[str, ...] = ()
    started: datetime | None = None
    epochs_trained: int | None = None
    time: float = 0.0
    problem: str | None = None
    statuses: frozenset[str] = frozenset()

    @property
    def score(self) -> float | None:
        """The best value of the objective; None where there is none, and for NaN."""
        score = self.record.best_model_score if self.record else None
        return None if score is None or math.isnan(score) else score

    def value(self, column: str) -> Any:
        """Return the value of one of `COLUMNS`; None for what did not happen."""
        if column in ("name", "path", "kind", "status", "started", "problem", "score", "epochs_trained"):
            return getattr(self, column)
        if column == "overrides":
            return " ".join(f"{key}={value}" for key, value in self.overrides.items())
        if column == "varying":
            return ", ".join(short_names(self.varying)) if self.kind == "sweep" else None
        record = self.record
        if record is None:
            return None
        stopping = record.stopping
        return {
            "monitor": record.objective.monitor,
            "mode": record.objective.mode,
            "best_epoch": record.best_epoch,
            "stopped_epoch": stopping.stopped_epoch if stopping else None,
            "reason": stopping.reason if stopping else None,
        }[column]


def status_of_all(statuses: Iterable[str]) -> str:
    """Return the status that all jobs have, or how many have which."""
    counts = Counter(statuses)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "no jobs"


def start_of(record: RunRecord | None) -> datetime | None:
    """Return when a training began, with its time zone; None where the record does not say, or not in ISO 8601."""
    text = record.timing.started if record else None
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    return moment if _FIRST_YEAR <= moment.year <= _LAST_YEAR else None
