"""What a sweep is to do: jobs, and the trainings that they share."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keepbest.composition.checks import policy_of
from keepbest.errors import ConfigError
from keepbest.records.run_record import RunStatus
from keepbest.records.store import RUN_FILE, SWEEP_FILE, read_sweep
from keepbest.records.sweep_record import SweepJob
from keepbest.sweeping.fingerprint import config_hash, fingerprint_of, watch_settings_of
from keepbest.sweeping.job_composer import ComposedJob
from keepbest.sweeping.members import Member, Members
from keepbest.sweeping.obstacles import why_alone

TRAJECTORIES = "trajectories"

_MOST_NAMED = 8


@dataclass(frozen=True)
class Training:
    """One training of a sweep: that of a job on its own, or of several members.

    Args:
        directory: where it runs, absolute.
        jobs: whose it is, in the order of their numbers.
        members: what `members.json` is to hold; None for a job on its own.
    """

    directory: Path
    jobs: tuple[ComposedJob, ...]
    members: Members | None

    def in_words(self) -> str:
        """Return whose it is: `job 3`, or `jobs 0, 2, 4`."""
        numbers = [str(job.number) for job in self.jobs]
        shown = ", ".join(numbers[:_MOST_NAMED]) + (", ..." if len(numbers) > _MOST_NAMED else "")
        return f"job {shown}" if len(numbers) == 1 else f"{len(numbers)} jobs ({shown})"


def find_trainings(
    sweep_dir: Path, jobs: Iterable[ComposedJob], *, share: bool, reads_stop: Sequence[str]
) -> tuple[list[Training], dict[int, str]]:
    """Find the trainings that jobs need.

    Args:
        sweep_dir: the sweep's directory.
        jobs: those that have no result yet and belong to no training that was begun.
        share: whether jobs may share one at all.
        reads_stop: the names of callbacks that do something where the training ends.

    Returns:
        The trainings, in the order of their first jobs, and why each job that must be alone must be.

    Raises:
        ConfigError: when a job has no directory for itself.
    """
    jobs = list({job.number: job for job in jobs}.values())  # a job that was asked for twice is one job
    _require_own_directories(jobs)
    groups: dict[str, list[ComposedJob]] = defaultdict(list)
    alone: dict[int, str] = {}
    for job in jobs:
        reason = why_alone(job.config, reads_stop) if share else "hydra.sweeper.share is false"
        if reason:
            alone[job.number] = reason
        groups[f"alone {job.number}" if reason else _fingerprint(job)].append(job)
    shares = any(len(group) > 1 for group in groups.values())
    planned = _planned_directories(sweep_dir) if shares else frozenset[str]()
    return [_training(sweep_dir, name, group, planned) for name, group in groups.items()], alone


def _require_own_directories(jobs: Iterable[ComposedJob]) -> None:
    owners: dict[Path, int] = {}
    for job in jobs:
        owner = owners.setdefault(job.directory, job.number)
        if owner != job.number:
            raise ConfigError(
                f"each job has a directory of its own, jobs {owner} and {job.number} have the same",
                received=str(job.directory),
                remedy="Let hydra.sweep.subdir tell them apart, as '${hydra.job.num}' does",
            )
        if (job.directory / RUN_FILE).exists():
            raise ConfigError(
                f"a directory holds one run, and that of job {job.number} holds another one",
                received=str(job.directory),
                remedy="Choose another with hydra.sweep.dir=..., or let hydra.sweep.subdir tell the jobs apart",
            )


def _planned_directories(sweep_dir: Path) -> frozenset[str]:
    """Return where earlier commands have planned trainings; they need not have begun."""
    jobs = read_sweep(sweep_dir).jobs if (sweep_dir / SWEEP_FILE).exists() else []
    return frozenset(job.trajectory for job in jobs if job.trajectory)


def _training(sweep_dir: Path, fingerprint: str, jobs: list[ComposedJob], planned: Container[str]) -> Training:
    if len(jobs) == 1:
        return training_of(jobs, None)
    name = f"{TRAJECTORIES}/{fingerprint}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    free = next(name for name in names if name not in planned and not (sweep_dir / name).exists())
    return training_of(jobs, sweep_dir / free)


def _fingerprint(job: ComposedJob) -> str:
    return fingerprint_of(job.config, job.environment)


def training_of(jobs: Sequence[ComposedJob], shared: Path | None) -> Training:
    """Return the training of jobs.

    Args:
        jobs: one, or those that share it.
        shared: the directory where they do; None for one job on its own.
    """
    if shared is None:
        return Training(jobs[0].directory, tuple(jobs), None)
    config = jobs[0].config
    members = tuple(Member(job.directory, policy_of(job.config)) for job in jobs)
    return Training(shared, tuple(jobs), Members(_fingerprint(jobs[0]), members, **watch_settings_of(config)))


def job_entry(job: ComposedJob, sweep_dir: Path, training: Training, alone: str | None) -> SweepJob:
    """Return the record of a planned job."""
    shared = training.members is not None
    return SweepJob(
        number=job.number,
        directory=_below(job.directory, sweep_dir),
        overrides=list(job.overrides),
        config_sha256=config_hash(job.config, job.environment),
        trajectory=_below(training.directory, sweep_dir) if shared else None,
        alone=alone,
        status=RunStatus.PENDING,
    )


def _below(directory: Path, sweep_dir: Path) -> str:
    return Path(os.path.relpath(directory, sweep_dir)).as_posix()


def require_same(known: SweepJob, job: ComposedJob) -> None:
    """Refuse to go on with a job whose config is another one now.

    Raises:
        ConfigError: when it is.
    """
    if known.config_sha256 != config_hash(job.config, job.environment):
        raise ConfigError(
            f"job {known.number} of this sweep was planned with another config than "
            f"{' '.join(job.overrides) or 'none of the overrides'} gives now",
            received=str(job.directory),
            remedy="Take another directory with hydra.sweep.dir=..., or finish it as it was with `keepbest resume`",
        )


def with_status(job: SweepJob, status: RunStatus) -> SweepJob:
    """Return a job's entry as it stands now."""
    return dataclasses.replace(job, status=status)
