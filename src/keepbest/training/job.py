"""A job directory before its job runs: the resolved config and a pending record."""

from __future__ import annotations

import hashlib
from pathlib import Path

from keepbest.checkpoints.hashing import require_sha256
from keepbest.composition.checks import check
from keepbest.composition.resolved import CONFIG_FILE, PlainConfig, config_text, read_config, write_config
from keepbest.composition.schema import objective_of
from keepbest.errors import ConfigError
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import create_record, read_record
from keepbest.training.environment import describe_environment
from keepbest.training.interruption import signals_held
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
        config_sha256=sha256_of_config(config),
    )
    job_dir.mkdir(parents=True, exist_ok=True)
    try:
        with signals_held():
            create_record(job_dir, record)
            write_config(job_dir, config)
    except FileExistsError:
        _require_same_unfinished(job_dir, config)
        return False
    return True


def read_job_config(job_dir: Path, record: RunRecord) -> PlainConfig:
    """Read a job's config.

    Raises:
        IntegrityError: when it is not the one that the record was written with.
        RecordError: when there is none, or something else.
    """
    if record.config_sha256 and (job_dir / CONFIG_FILE).exists():
        require_sha256(job_dir / CONFIG_FILE, record.config_sha256, "config")
    return read_config(job_dir)


def sha256_of_config(config: PlainConfig) -> str:
    """Return the hash of `config.yaml` as it is written."""
    return hashlib.sha256(config_text(config).encode()).hexdigest()


def _require_same_unfinished(job_dir: Path, config: PlainConfig) -> None:
    rule = "a directory holds one run, and there is one in it"
    record = read_record(job_dir)
    if record.status in FINISHED:
        raise ConfigError(rule, received=str(job_dir), remedy="Choose another with hydra.run.dir=...")
    if not (job_dir / CONFIG_FILE).exists():  # it died before it was written
        write_config(job_dir, config)
    if read_job_config(job_dir, record) != config:
        raise ConfigError(
            f"{rule}, unfinished, with another config",
            received=str(job_dir),
            remedy=f"Finish it with `keepbest resume {job_dir}`, or choose another with hydra.run.dir=...",
        )
