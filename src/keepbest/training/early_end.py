"""The record of a job that ended before, or without, writing how."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keepbest.errors import KeepbestError, OwnedError
from keepbest.records.ownership import owned
from keepbest.records.run_record import Failure, RunRecord, RunStatus
from keepbest.records.store import RUN_FILE, read_record, write_record
from keepbest.training.interruption import Interrupted

_UNFINISHED = (RunStatus.PENDING, RunStatus.RUNNING)


def record_early_end(job_dir: Path, error: BaseException) -> RunRecord:
    """Let a record that says `pending` or `running` say `interrupted` or `failed`, and why; return it.

    For who knows that nothing runs in the directory any more.
    """
    record = read_record(job_dir)
    if record.status in _UNFINISHED:
        status = RunStatus.INTERRUPTED if isinstance(error, Interrupted) else RunStatus.FAILED
        failure = Failure(type(error).__qualname__, str(error), "")
        record = dataclasses.replace(record, status=status, error=failure)
        write_record(job_dir, record)
    return record


def record_death(job_dir: Path, error: BaseException, others: Iterable[Path] = ()) -> RunRecord:
    """Let the records of a job whose process has ended say so, where it could not; return the job's.

    Args:
        job_dir: the job's directory. Where another process holds it, nothing is written: that one refused ours.
        error: what the end of the process means.
        others: the directories of the jobs that it trained for.
    """
    with suppress(OwnedError), owned(job_dir):
        for place in (job_dir, *others):
            record_early_end(place, error)
    return read_record(job_dir)


@contextmanager
def interruptions_recorded(job_dir: Path) -> Iterator[None]:
    """Let an `Interrupted` that leaves the block leave no record that says `pending` or `running`.

    Where another process holds the directory, or there is no record to be read, nothing is written.
    """
    try:
        yield
    except Interrupted as interruption:
        if (job_dir / RUN_FILE).exists():
            with suppress(KeepbestError, OSError), owned(job_dir):
                record_early_end(job_dir, interruption)
        raise
