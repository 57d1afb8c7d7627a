"""`python -m keepbest.training.worker JOB_DIR`: one job in a process of its own.

A worker has a plain command line, which Lightning can run again for each rank of a DDP training.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run the job of a directory; return the exit status of DESIGN's table."""
    from keepbest.training.execute import execute
    from keepbest.training.reporting import exit_status_of, explain_failure

    if len(arguments) != 1:
        sys.stderr.write("usage: python -m keepbest.training.worker JOB_DIR\n")
        return 2
    job_dir = Path(arguments[0])
    try:
        return exit_status_of(execute(job_dir))
    except Exception as error:  # noqa: BLE001 - whatever ended the job is told in one message
        return explain_failure(error, job_dir)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
