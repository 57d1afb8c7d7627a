"""A job directory before its job runs: the resolved config and a pending record."""

from __future__ import annotations

from pathlib import Path

from keepbest.composition.checks import check
from keepbest.composition.resolved import PlainConfig, write_config
from keepbest.composition.schema import objective_of
from keepbest.errors import ConfigError
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import create_record
from keepbest.training.environment import describe_environment


def create_job(job_dir: Path, job_id: str, config: PlainConfig) -> None:
    """Check a resolved config and put it, with a pending record, into a job directory.

    Raises:
        ConfigError: for a config that cannot work, or a directory that holds a run; nothing is written then.
    """
    check(config)
    record = RunRecord(
        id=job_id,
        status=RunStatus.PENDING,
        objective=objective_of(config),
        seed=config.get("seed"),
        environment=describe_environment(),
    )
    job_dir.mkdir(parents=True, exist_ok=True)
    try:
        create_record(job_dir, record)
    except FileExistsError as error:
        raise ConfigError(
            "a directory holds one run, and there is one in it",
            received=str(job_dir),
            remedy="Choose another with hydra.run.dir=...",
        ) from error
    write_config(job_dir, config)
