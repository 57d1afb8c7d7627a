"""What the end of a job means to a shell and to the person at it."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from keepbest.errors import KeepbestError, printable
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.training.job_log import LOG_FILE

FULL_ERROR = "HYDRA_FULL_ERROR"

_EXIT_STATUS = {RunStatus.COMPLETED: 0, RunStatus.INTERRUPTED: 130}


def exit_status_of(record: RunRecord) -> int:
    """Return 0 for a completed run, 130 for an interrupted one, else 1."""
    return _EXIT_STATUS.get(record.status, 1)


def exit_status_of_error(error: Exception) -> int:
    """Return the status that an error asks for, 1 where it does not say."""
    return error.exit_status if isinstance(error, KeepbestError) else 1


def explain_failure(error: Exception, job_dir: Path | None = None) -> int:
    """Tell what went wrong in one message, with the traceback only where it was asked for; return the exit status."""
    if os.environ.get(FULL_ERROR) == "1":
        traceback.print_exception(error)
    text = str(error) if isinstance(error, KeepbestError) else printable(f"{type(error).__name__}: {error}")
    where = ""
    if not isinstance(error, KeepbestError):
        log = job_dir / LOG_FILE if job_dir else None
        place = f"The traceback is in {log}; {FULL_ERROR}=1 prints it here." if log and log.is_file() else ""
        where = "\n" + (place or f"{FULL_ERROR}=1 prints the traceback.")
    sys.stderr.write(f"keepbest: {text}{where}\n")
    return exit_status_of_error(error)
