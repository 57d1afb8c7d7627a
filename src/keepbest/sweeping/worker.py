"""`python -m keepbest.sweeping.worker DIRECTORY`: one training of a sweep in a process of its own.

A worker has a plain command line, which Lightning can run again for each rank of a DDP training.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from keepbest.records.run_record import RunRecord
from keepbest.records.store import SWEEP_FILE
from keepbest.sweeping.members import is_shared
from keepbest.sweeping.stop_order import StopOrder
from keepbest.training.worker import main


def execute_either(directory: Path) -> RunRecord:
    """Run a job directory, or a training that several members share. The sweep's stop order ends it.

    Whoever started this process hands the order on as well, but may be killed before.
    """
    with _obeying_order(directory):
        return _execute(directory)


def _obeying_order(directory: Path) -> AbstractContextManager[None]:
    sweeps = (parent for parent in directory.absolute().parents if (parent / SWEEP_FILE).exists())
    sweep_dir = None if "LOCAL_RANK" in os.environ else next(sweeps, None)  # the first rank ends the others
    return StopOrder(sweep_dir).obeyed() if sweep_dir else nullcontext()


def _execute(directory: Path) -> RunRecord:
    if is_shared(directory):
        from keepbest.sweeping.shared_run import execute_shared

        return execute_shared(directory)
    from keepbest.training.execute import execute

    return execute(directory)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], execute_either))
