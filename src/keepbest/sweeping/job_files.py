"""The directories of planned jobs and shared trainings, before anything is trained."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.composition.resolved import CONFIG_FILE, config_text
from keepbest.composition.schema import objective_of
from keepbest.records.atomic import partials_in, write_text
from keepbest.records.run_record import Environment, RunRecord, RunStatus
from keepbest.records.store import RUN_FILE, create_record
from keepbest.sweeping.fingerprint import without_policy
from keepbest.sweeping.members import write_members
from keepbest.training.environment import describe_environment

if TYPE_CHECKING:
    from keepbest.sweeping.job_composer import ComposedJob, JobComposer
    from keepbest.sweeping.plan import Training


class JobFiles:
    """Writes what a launched job finds in its directory.

    The record is written last: a directory that has one is complete, and left as it is. One that was begun by somebody
    who was killed is written anew.

    Args:
        sweep_dir: the sweep's directory, absolute.
        composer: composes the jobs.
    """

    def __init__(self, sweep_dir: Path, composer: JobComposer) -> None:
        self._sweep_dir, self._composer = sweep_dir, composer

    @cached_property
    def environment(self) -> Environment:
        """What the sweep runs on; asked for once, because git is."""
        return describe_environment()

    def write(self, training: Training) -> None:
        """Write the directories of a training's jobs, then its own."""
        for job in training.jobs:
            if _lacks_files(job.directory):
                self._write_hydra_files(job)
                self._write_job(job.directory, job.config)
        if training.members is not None and _lacks_files(training.directory):
            write_members(training.directory, training.members)
            self._write_job(training.directory, without_policy(training.jobs[0].config))

    def _write_hydra_files(self, job: ComposedJob) -> None:
        folder = job.directory / ".hydra"
        folder.mkdir(exist_ok=True)
        for name, text in self._composer.hydra_files(job).items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    def _write_job(self, directory: Path, config: dict[str, Any]) -> None:
        """Write a config, then the record that makes the directory a job's."""
        write_text(directory / CONFIG_FILE, config_text(config))
        record = RunRecord(
            id=f"{self._sweep_dir.name}/{Path(os.path.relpath(directory, self._sweep_dir)).as_posix()}",
            status=RunStatus.PENDING,
            objective=objective_of(config),
            seed=config.get("seed"),
            environment=self.environment,
        )
        create_record(directory, record)


def _lacks_files(directory: Path) -> bool:
    """Make a directory and remove what somebody who was killed has left; return whether files are to be written."""
    directory.mkdir(parents=True, exist_ok=True)
    record = directory / RUN_FILE
    is_complete = record.exists()
    for partial in partials_in(directory):
        with suppress(FileNotFoundError):
            if not is_complete or partial.samefile(record):  # a run that has begun writes temporary files of its own
                partial.unlink()
    return not is_complete
