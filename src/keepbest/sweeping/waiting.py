"""A training that another process is busy with, such as one that an earlier command has left behind: waited for."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from keepbest.errors import OwnedError
from keepbest.records.ownership import owned, require_free
from keepbest.records.store import read_record
from keepbest.sweeping.stop_order import StopOrder
from keepbest.training.interruption import Interrupted
from keepbest.training.running_record import FINISHED

_LOOKS_EVERY = 1.0  # seconds
_MOST_NAMED = 8


def wait_until_free(directory: Path, jobs: Sequence[Path], order: StopOrder) -> None:
    """Wait until no other process trains in a directory, or for one of the jobs that share the training.

    Args:
        directory: of the training.
        jobs: the directories of those that share it; none for a job on its own.
        order: what ends the waiting, beside signals to this process. The other process obeys it as well.

    Raises:
        Interrupted: when a signal ended the waiting.
        OwnedError: when nothing more is to be started, because a job has failed.
    """
    told = False
    while error := _refusal(directory, jobs):
        if number := order.ending:
            raise Interrupted(number.name)
        if order.is_given:
            raise error
        if not told:
            _tell(error, jobs or [directory])
            told = True
        time.sleep(_LOOKS_EVERY)


def has_result(directory: Path, jobs: Sequence[Path]) -> bool:
    """Return whether a training and all jobs that share it have their results."""
    return all(read_record(place).status in FINISHED for place in (directory, *jobs))


def _refusal(directory: Path, jobs: Sequence[Path]) -> OwnedError | None:
    try:
        with owned(directory):
            for job in jobs:
                if read_record(job).status not in FINISHED:
                    require_free(job)
    except OwnedError as error:
        return error
    return None


def _tell(error: OwnedError, jobs: Sequence[Path]) -> None:
    names = ", ".join(job.name for job in jobs[:_MOST_NAMED]) + (", ..." if len(jobs) > _MOST_NAMED else "")
    noun = "job" if len(jobs) == 1 else "jobs"
    sys.stdout.write(
        f"{error.owner} still trains {noun} {names}: waiting for it. Ctrl-C ends the waiting, not the training.\n"
    )
    sys.stdout.flush()
