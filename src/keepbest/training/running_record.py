"""The record of a job while it runs."""

from __future__ import annotations

import dataclasses
import os
import socket
import time
import traceback
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from keepbest.checkpoints.hashing import sha256_of
from keepbest.composition.resolved import CONFIG_FILE
from keepbest.errors import RecordError
from keepbest.records.metrics_table import METRICS_FILE
from keepbest.records.run_record import Failure, RunRecord, RunStatus
from keepbest.records.store import read_record, write_record
from keepbest.training.interruption import Interrupted

FINISHED = frozenset({RunStatus.COMPLETED, RunStatus.DIVERGED})
"""What a run ends with for good; with any other status it can be started, or resumed."""


class RunningRecord:
    """Collects what becomes known about a run, and writes it whenever its status or its checkpoints change.

    Args:
        job_dir: the directory of a job that has no result yet.
        writes: whether this process writes; False on every rank but the first.

    Attributes:
        was_begun: whether there was an earlier attempt.
    """

    def __init__(self, job_dir: Path, *, writes: bool) -> None:
        self.value: RunRecord = read_record(job_dir)
        self.writes = writes
        self.was_begun = self.value.timing.started is not None
        self._job_dir = job_dir
        self._clock = time.monotonic()
        self._seconds_before = 0.0

    def require_unfinished(self) -> None:
        """Refuse a job that has a result already; the other ranks of a job do not look.

        Raises:
            RecordError: when it has.
        """
        if self.writes and self.value.status in FINISHED:
            raise RecordError(f"a job has one result; {self._job_dir} is {self.value.status.value} already.")

    def note(self, **facts: Any) -> None:
        """Take in fields of the record; they are written with the next change of status."""
        self.value = dataclasses.replace(self.value, **facts)

    def note_epochs(self, trained: int | None) -> None:
        """Take in how many whole epochs were trained, None for not a single one."""
        self.note(timing=dataclasses.replace(self.value.timing, epochs_trained=trained))

    def start(self) -> None:
        """Write that the job is running, since when, and where; what an earlier attempt measured in time is kept.

        Its number of threads is taken over, too: sums that are split in another way come out a little different.
        """
        import torch

        timing, environment = self.value.timing, self.value.environment
        self._seconds_before = timing.seconds or 0.0
        threads = environment.threads or torch.get_num_threads()
        torch.set_num_threads(threads)
        host = socket.gethostname()
        self.note(environment=dataclasses.replace(environment, host=host, pid=os.getpid(), threads=threads))
        if self.value.config_sha256 is None:  # a crash came before it was written
            self.note(config_sha256=sha256_of(self._job_dir / CONFIG_FILE))
        self.note(timing=dataclasses.replace(timing, started=timing.started or _now(), finished=None), error=None)
        self._become(RunStatus.RUNNING)

    def write(self) -> None:
        """Write what is known by now."""
        if self.writes:
            write_record(self._job_dir, self.value)

    def finish(self, status: RunStatus, seconds: float | None = None) -> None:
        """Write the result, with the hash of the metrics, which grow no more.

        Args:
            status: how it ended.
            seconds: how long it took; None: as long as this job has run.
        """
        self._note_end(seconds)
        metrics = self._job_dir / METRICS_FILE
        if self.writes and metrics.is_file():  # who removed it meanwhile has a result all the same
            self.note(metrics_sha256=sha256_of(metrics))
        self._become(status)

    def fail(self, error: BaseException) -> None:
        """Write what ended the job early."""
        self._note_end()
        trace = "".join(traceback.format_exception(error))
        self.note(error=Failure(type=type(error).__qualname__, message=str(error), traceback=trace))
        self._become(RunStatus.INTERRUPTED if isinstance(error, Interrupted) else RunStatus.FAILED)

    @property
    def seconds(self) -> float:
        """How long the job has run by now, in all its attempts."""
        return round(self._seconds_before + time.monotonic() - self._clock, 3)

    def _note_end(self, seconds: float | None = None) -> None:
        seconds = self.seconds if seconds is None else seconds
        self.note(timing=dataclasses.replace(self.value.timing, finished=_now(), seconds=seconds))

    def _become(self, status: RunStatus) -> None:
        before = self.value
        self.note(status=status)
        try:
            self.write()
        except BaseException:
            self.value = before  # what could not be written did not happen
            raise


def _now() -> str:
    return datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
