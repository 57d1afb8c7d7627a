"""`python -m keepbest.training.worker JOB_DIR`: one job in a process of its own.

A worker has a plain command line, which Lightning can run again for each rank of a DDP training.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from keepbest.records.run_record import RunRecord
from keepbest.training.interruption import STATUS_OF, Interrupted, ended_by_signals


def main(arguments: list[str], execute: Callable[[Path], RunRecord] | None = None) -> int:
    """Run the job of a directory; return the exit status of DESIGN's table.

    Args:
        arguments: the directory.
        execute: what runs it; None for a job of its own.
    """
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m keepbest.training.worker JOB_DIR\n")
        return 2
    with ended_by_signals():
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STATUS_OF)  # whoever started it may have blocked them until now
            return _run(Path(arguments[0]), execute)
        except Interrupted as interruption:
            return interruption.exit_status  # told by whoever started it


def _run(job_dir: Path, execute: Callable[[Path], RunRecord] | None) -> int:
    from keepbest.training.execute import execute as execute_job
    from keepbest.training.reporting import exit_status_of, explain_failure

    try:
        return exit_status_of((execute or execute_job)(job_dir))
    except Exception as error:  # noqa: BLE001 - whatever ended the job is told in one message
        return explain_failure(error, job_dir)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
