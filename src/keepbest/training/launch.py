"""Where a job runs: in this process, or in a worker of its own."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keepbest.records.run_record import Failure, RunRecord, RunStatus
from keepbest.records.store import read_record, write_record
from keepbest.training.interruption import Interrupted
from keepbest.training.worker_process import Worker, WorkerError


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
    worker = Worker([sys.executable, "-m", "keepbest.training.worker", str(job_dir)])
    status = worker.wait()
    record = read_record(job_dir)
    if record.status in (RunStatus.PENDING, RunStatus.RUNNING):
        record = _record_death(job_dir, record, worker.ended_by(status, job_dir))
    if record.status in (RunStatus.COMPLETED, RunStatus.DIVERGED):
        return record
    raise worker.ended_by(status, job_dir)


def _record_death(job_dir: Path, record: RunRecord, error: WorkerError | Interrupted) -> RunRecord:
    """Write the record that a killed worker could not write."""
    status = RunStatus.INTERRUPTED if isinstance(error, Interrupted) else RunStatus.FAILED
    record = dataclasses.replace(record, status=status, error=Failure(type(error).__qualname__, str(error), ""))
    write_record(job_dir, record)
    return record
