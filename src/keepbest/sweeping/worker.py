"""`python -m keepbest.sweeping.worker DIRECTORY`: one training of a sweep in a process of its own.

A worker has a plain command line, which Lightning can run again for each rank of a DDP training.
"""

from __future__ import annotations

import sys
from pathlib import Path

from keepbest.records.run_record import RunRecord
from keepbest.sweeping.members import is_shared
from keepbest.training.worker import main


def execute_either(directory: Path) -> RunRecord:
    """Run a job directory, or a training that several members share."""
    if is_shared(directory):
        from keepbest.sweeping.shared_run import execute_shared

        return execute_shared(directory)
    from keepbest.training.execute import execute

    return execute(directory)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], execute_either))
