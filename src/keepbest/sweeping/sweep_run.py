"""A sweep, from overrides to results."""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.composition.checks import check
from keepbest.composition.schema import objective_of
from keepbest.errors import ConfigError
from keepbest.records.ownership import as_it_stands
from keepbest.records.run_record import Objective, RunRecord
from keepbest.records.store import RUN_FILE, SWEEP_FILE, read_record, read_sweep, write_sweep
from keepbest.records.sweep_record import SweepJob, SweepRecord
from keepbest.sweeping.fingerprint import MASKED, config_hash
from keepbest.sweeping.job_composer import ComposedJob, JobComposer
from keepbest.sweeping.job_files import JobFiles
from keepbest.sweeping.launching import Launching
from keepbest.sweeping.obstacles import require_callbacks
from keepbest.sweeping.plan import Training, find_trainings, job_entry, require_same, training_of, with_status
from keepbest.sweeping.proof import PROOFS, choose, require_same_results
from keepbest.training.job import read_job_config
from keepbest.training.running_record import FINISHED

if TYPE_CHECKING:
    from hydra.types import HydraContext
    from omegaconf import DictConfig

    from keepbest.sweeping.settings import SweepSettings
    from keepbest.sweeping.training_watch import Listener


@dataclass(frozen=True)
class Plan:
    """What is left to train for some jobs of a sweep.

    Args:
        numbers: of the jobs, in the order in which they were asked for; several may be one and the same.
        trainings: what they need; none for those that have their result.
    """

    numbers: tuple[int, ...]
    trainings: tuple[Training, ...]


class SweepRun:
    """The jobs of one sweep directory.

    Args:
        context: Hydra's.
        config: the sweep's, as Hydra hands it to sweepers.
        settings: of the sweeper.
        listener: hears what becomes of the trainings while they run.
        arguments: the command line after `keepbest train`, for the record.
        resumes: whether jobs go on with the configs that they have on the disk, whatever conf/ says now.

    Attributes:
        directory: the sweep's, absolute.
        id: the sweep's name.
        jobs: what is planned, by number.
        settings: of the sweeper.
    """

    def __init__(
        self,
        context: HydraContext,
        config: DictConfig,
        settings: SweepSettings,
        listener: Listener,
        arguments: Sequence[str] = (),
        *,
        resumes: bool = False,
    ) -> None:
        self.directory = Path(str(config.hydra.sweep.dir)).absolute()
        self.jobs: dict[int, SweepJob] = {}
        self.settings = settings
        self._context, self._config, self._resumes, self._listener = context, config, resumes, listener
        self._composer = JobComposer(context.config_loader, config, MASKED)
        self._files = JobFiles(self.directory, self._composer)
        self._arguments, self._record = list(arguments), None
        if (self.directory / SWEEP_FILE).exists():
            self._record = read_sweep(self.directory)
            self.jobs = {job.number: job for job in self._record.jobs}
        self.id = self._record.id if self._record else self.directory.name
        self._numbers = {tuple(job.overrides): job.number for job in self.jobs.values()}

    def plan(self, overrides: Iterable[Sequence[str]], *, all_jobs: bool = False) -> Plan:
        """Find out what is left to train for jobs. Nothing is written.

        Args:
            overrides: one list for each job. A job that the sweep has already keeps its number, others are added.
            all_jobs: whether these are all that the sweep will have, so that it is known which callbacks it has.

        Raises:
            ConfigError: for a job that cannot work.
        """
        wanted = [tuple(texts) for texts in overrides]
        composed = self._compose_all(wanted)
        if all_jobs:
            require_callbacks(self.settings.reads_stop, (job.config for job in composed))
        begun, fresh = self._begun(composed), [job for job in composed if job.number not in self.jobs]
        plan = Plan(tuple(job.number for job in composed), (*begun, *self._add(fresh)))
        self._numbers.update(zip(wanted, plan.numbers, strict=True))
        return plan

    def run(self, plan: Plan) -> None:
        """Train what is left to train, each training once. What becomes of it is in the records of the jobs."""
        self._save()
        for training in plan.trainings:
            self._files.write(training)
        if plan.trainings:
            self._launch(plan.trainings)

    def prove(self, numbers: Iterable[int]) -> int:
        """Train members of shared trainings on their own, and compare; return how many.

        The proofs that earlier commands began belong to them. New ones are chosen at random, among all members that
        have their results, until there are as many as `settings.prove` says.

        Args:
            numbers: of the jobs whose earlier proofs count.

        Raises:
            ProofError: when one differs.
        """
        proofs, wanted = self.directory / PROOFS, set(numbers)
        shared = [number for number, job in self.jobs.items() if job.trajectory and self._is_finished(number)]
        places = {number: proofs / str(number) for number in choose(shared, wanted, proofs, self.settings.prove)}
        left = [self._alone(number, place) for number, place in places.items() if not _has_result(place)]
        for training in left:
            self._files.write(training)
        if left:
            self._launch(left)
        require_same_results({number: (self.directory_of(number), place) for number, place in places.items()})
        return len(places)

    def objective_of(self, overrides: Sequence[str]) -> Objective:
        """Return the objective of a job that need not be planned.

        Raises:
            ConfigError: for a job that cannot work.
        """
        return objective_of(self._compose(len(self.jobs), overrides).config)

    def number_of(self, overrides: Sequence[str]) -> int:
        """Return the number of a job that was planned, also by an earlier command that said it in another way."""
        number = self._numbers.get(tuple(overrides))
        return self._compose_all([overrides])[0].number if number is None else number

    def record_of(self, number: int) -> RunRecord:
        """Return the record of a job, as it stands."""
        directory = self.directory_of(number)
        return as_it_stands(directory, read_record(directory))

    def records(self, numbers: Iterable[int] | None = None) -> dict[int, RunRecord]:
        """Return the records of jobs; of all that have one, where no numbers are given."""
        if numbers is None:
            numbers = [number for number in self.jobs if (self.directory_of(number) / RUN_FILE).exists()]
        return {number: self.record_of(number) for number in numbers}

    def trained_epochs(self, numbers: Iterable[int]) -> int:
        """Return how many epochs were trained for jobs, those of a shared training once."""
        directories = {self.jobs[number].trajectory or self.jobs[number].directory for number in numbers}
        records = (read_record(self.directory / directory) for directory in directories)
        return sum(record.timing.epochs_trained or 0 for record in records)

    def directory_of(self, number: int) -> Path:
        """Return the run directory of a job."""
        return self.directory / self.jobs[number].directory

    def _compose_all(self, overrides: Iterable[Sequence[str]]) -> list[ComposedJob]:
        known = dict(self._numbers)
        alike = {job.config_sha256: job.number for job in self.jobs.values()}
        composed, free = [], len(self.jobs)
        for texts in overrides:
            job = self._compose(known.get(tuple(texts), free), texts)
            if job.number == free and (number := alike.get(config_hash(job.config, job.environment))) is not None:
                job = self._compose(number, texts)  # one that the sweep has, said in another way
            number = known[tuple(texts)] = job.number
            free += number == free
            if number in self.jobs and not (self._resumes and (self.directory_of(number) / RUN_FILE).exists()):
                require_same(self.jobs[number], job)
            composed.append(job)
        return composed

    def _compose(self, number: int, overrides: Sequence[str]) -> ComposedJob:
        job = self._composer.compose(number, overrides)
        try:
            check(job.config)
        except ConfigError as fault:
            raise ConfigError(f"job {number} ({' '.join(overrides)}): {fault}") from fault
        return job

    def _begun(self, wanted: Sequence[ComposedJob]) -> list[Training]:
        """Return the trainings that earlier commands planned, and that owe one of the wanted jobs its result."""
        owing = [
            self.jobs[job.number] for job in wanted if job.number in self.jobs and not self._is_finished(job.number)
        ]
        by_directory: dict[str, list[SweepJob]] = defaultdict(list)
        for job in self.jobs.values():
            by_directory[job.trajectory or job.directory].append(job)
        directories = dict.fromkeys(job.trajectory or job.directory for job in owing)
        return [self._training(by_directory[directory]) for directory in directories]

    def _training(self, entries: Sequence[SweepJob]) -> Training:
        jobs = [self._composer.compose(entry.number, entry.overrides) for entry in entries]
        return training_of(jobs, self.directory / entries[0].trajectory if entries[0].trajectory else None)

    def _alone(self, number: int, place: Path) -> Training:
        """Return the training of a member on its own, with the config that it has on the disk, whatever conf/ says."""
        member = self.directory_of(number)
        config = read_job_config(member, read_record(member))
        job = self._composer.compose(number, self.jobs[number].overrides)
        return training_of([dataclasses.replace(job, config=config, directory=place)], None)

    def _is_finished(self, number: int) -> bool:
        return _has_result(self.directory_of(number))

    def _add(self, jobs: Sequence[ComposedJob]) -> list[Training]:
        """Plan jobs that the sweep did not have."""
        settings = self.settings
        trainings, alone = find_trainings(self.directory, jobs, share=settings.share, reads_stop=settings.reads_stop)
        for training in trainings:
            for job in training.jobs:
                self.jobs[job.number] = job_entry(job, self.directory, training, alone.get(job.number))
        return trainings

    def _save(self) -> None:
        """Write `sweep.json`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        jobs = [self.jobs[number] for number in sorted(self.jobs)]
        before = self._record
        self._record = SweepRecord(
            id=self.id,
            arguments=before.arguments if before and self._resumes else self._arguments,
            environment=dataclasses.replace(self._files.environment, pid=os.getpid()),
            jobs=jobs,
        )
        write_sweep(self.directory, self._record)

    def _launch(self, trainings: Sequence[Training]) -> None:
        launching = Launching(self._context, self._config, self.directory, self.settings)
        try:
            launching.run(trainings, self._listener)
        finally:
            self._note_statuses()

    def _note_statuses(self) -> None:
        for number, job in self.jobs.items():
            if (self.directory_of(number) / RUN_FILE).exists():
                self.jobs[number] = with_status(job, self.record_of(number).status)
        self._save()


def _has_result(directory: Path) -> bool:
    return (directory / RUN_FILE).exists() and read_record(directory).status in FINISHED
