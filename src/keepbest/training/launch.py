"""Where a job runs: in this process, or in a worker of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keepbest.composition.checks import check
from keepbest.records.run_record import RunRecord
from keepbest.training.early_end import record_death
from keepbest.training.running_record import FINISHED
from keepbest.training.worker_process import Worker


def launch(job_dir: Path, config: Mapping[str, Any]) -> RunRecord:
    """Run a job: in this process when it needs one device, else in a worker, which Lightning can start once per rank.

    Raises:
        ConfigError: for a config that cannot work, such as one that somebody has edited since it was checked.
        WorkerError: when the worker ended without a result.
        Interrupted: when a signal ended the job.
        Exception: whatever ended the job early in this process.
    """
    check(config)
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
    status = worker.run()
    record = record_death(job_dir, worker.ended_by(status, job_dir))
    if record.status in FINISHED:
        return record
    raise worker.ended_by(status, job_dir)
