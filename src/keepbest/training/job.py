"""A job directory before its job runs: the resolved config and a pending record."""

from __future__ import annotations

from pathlib import Path

from keepbest.composition.checks import check
from keepbest.composition.resolved import CONFIG_FILE, PlainConfig, read_config, write_config
from keepbest.composition.schema import objective_of
from keepbest.errors import ConfigError
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import create_record, read_record
from keepbest.training.environment import describe_environment
from keepbest.training.running_record import FINISHED


def create_job(job_dir: Path, job_id: str, config: PlainConfig) -> bool:
    """Check a resolved config and put it, with a pending record, into a job directory.

    Returns:
        Whether the job is new; False where the directory holds an unfinished one of the same config, to go on with.

    Raises:
        ConfigError: for a config that cannot work, or a directory that holds another run, or a finished one; nothing is
            written then.
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
    except FileExistsError:
        _require_same_unfinished(job_dir, config)
        return False
    write_config(job_dir, config)
    return True


def _require_same_unfinished(job_dir: Path, config: PlainConfig) -> None:
    rule = "a directory holds one run, and there is one in it"
    if read_record(job_dir).status in FINISHED:
        raise ConfigError(rule, received=str(job_dir), remedy="Choose another with hydra.run.dir=...")
    if not (job_dir / CONFIG_FILE).exists():  # it died before it was written
        write_config(job_dir, config)
    if read_config(job_dir) != config:
        raise ConfigError(
            f"{rule}, unfinished, with another config",
            received=str(job_dir),
            remedy=f"Finish it with `keepbest resume {job_dir}`, or choose another with hydra.run.dir=...",
        )
