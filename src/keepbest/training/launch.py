"""Where a job runs: in this process, or in a worker of its own."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keepbest.errors import KeepbestError
from keepbest.records.run_record import Failure, RunRecord, RunStatus
from keepbest.records.store import read_record, write_record

_RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


class WorkerError(KeepbestError):
    """A worker ended without a result. What it had to say is on its standard error already.

    Args:
        exit_status: what the worker ended with; negative for the signal that killed it.
        job_dir: the directory of its job.
    """

    def __init__(self, exit_status: int, job_dir: Path) -> None:
        killed = exit_status < 0
        how = f"was killed by {signal.Signals(-exit_status).name}" if killed else f"ended with status {exit_status}"
        self.exit_status = 1 if killed else exit_status
        self.told = not killed
        super().__init__(f"the worker of {job_dir} {how}.")


def launch(job_dir: Path, config: Mapping[str, Any]) -> RunRecord:
    """Run a job: in this process when it needs one device, else in a worker, which Lightning can start once per rank.

    Raises:
        WorkerError: when the worker ended without a result.
        Exception: whatever ended the job early in this process.
    """
    if fits_one_process(config["trainer"]):
        from keepbest.training.execute import execute

        return execute(job_dir)
    return _run_worker(job_dir)


def fits_one_process(trainer: Mapping[str, Any]) -> bool:
    """Return whether a trainer's settings ask for a single device on a single node, for certain."""
    devices = trainer.get("devices", "auto")
    one_device = devices in (1, "1", [0]) or (devices == "auto" and trainer.get("accelerator") == "cpu")
    return one_device and trainer.get("num_nodes", 1) == 1


def _run_worker(job_dir: Path) -> RunRecord:
    command = [sys.executable, "-m", "keepbest.training.worker", str(job_dir)]
    process = subprocess.Popen(command, env=_worker_environment())
    try:
        status = process.wait()
    except BaseException:  # Ctrl-C reached the worker too: let it write its record
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise
    record = read_record(job_dir)
    if status < 0 and record.status in (RunStatus.PENDING, RunStatus.RUNNING):
        record = _record_death(job_dir, record, WorkerError(status, job_dir))
    if record.status in (RunStatus.COMPLETED, RunStatus.DIVERGED):
        return record
    raise WorkerError(status, job_dir)


def _worker_environment() -> dict[str, str]:
    """Return this process's environment without what would make Lightning believe that it is a rank already."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _RANK_VARIABLES and not name.startswith("MASTER_")
    }
    # the user's modules lie in the working directory
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    return kept


def _record_death(job_dir: Path, record: RunRecord, error: WorkerError) -> RunRecord:
    failure = Failure(type="WorkerError", message=str(error), traceback="")
    record = dataclasses.replace(record, status=RunStatus.FAILED, error=failure)
    write_record(job_dir, record)
    return record
