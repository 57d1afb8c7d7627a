"""A sweep's jobs and their records, without a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keepbest.errors import IntegrityError, RecordError
from keepbest.reading.job_records import JobRecords, statuses
from keepbest.reading.run_files import LARGEST_RECORD, require_file, require_inside
from keepbest.reading.sweep_directory import SweepDirectory
from keepbest.reading.trained_epochs import trained_epochs
from keepbest.records.run_record import RunRecord
from keepbest.records.store import RUN_FILE, read_record
from keepbest.records.sweep_record import SweepJob, SweepRecord


@dataclass(frozen=True)
class SweepContents:
    """What lies in the directory of a sweep.

    Args:
        directory: the sweep's, absolute and without links.
        record: `sweep.json`.
        jobs: by number.
        directories: of the jobs, absolute.
        records: of the jobs that have one that can be read.
        refused: why the others' records cannot be read.
        statuses: where each job stands, in a word.
    """

    directory: Path
    record: SweepRecord
    jobs: Mapping[int, SweepJob]
    directories: Mapping[int, Path]
    records: Mapping[int, RunRecord]
    refused: Mapping[int, Exception]
    statuses: Mapping[int, str]

    @property
    def trainings(self) -> dict[str, list[int]]:
        """The numbers of the jobs whose each training is, by its directory as the record has it."""
        groups: dict[str, list[int]] = {}
        for number, job in self.jobs.items():
            groups.setdefault(job.trajectory or job.directory, []).append(number)
        return groups

    def trained_epochs(self) -> int:
        """Return how many epochs were trained, those of a shared training once, as far as records and metrics say."""
        return sum(self._epochs_of(name, numbers) for name, numbers in self.trainings.items())

    def _epochs_of(self, name: str, numbers: list[int]) -> int:
        if self.jobs[numbers[0]].trajectory:
            try:
                place = require_inside(self.directory, name, "sweep")
                require_file(place, RUN_FILE, LARGEST_RECORD)
                return trained_epochs(place, read_record(place)) or 0
            except (RecordError, IntegrityError):  # a copy without the shared trainings
                pass
        there = [number for number in numbers if number in self.records]
        return max((trained_epochs(self.directories[one], self.records[one]) or 0 for one in there), default=0)


def contents_of(directory: Path) -> SweepContents:
    """Read what lies in the directory of a sweep, by the rules of `keepbest.open_sweep`.

    Args:
        directory: absolute and without links.

    Raises:
        RecordError: when there is no sweep, or its record cannot be read or leads out of the directory.
        IntegrityError: when its record is not as it was written.
    """
    sweep = SweepDirectory(directory)
    records, refused = JobRecords(sweep.jobs, trust=False).read()
    return SweepContents(
        directory=directory,
        record=sweep.record,
        jobs={job.number: job for job in sweep.record.jobs},
        directories=sweep.jobs,
        records=records,
        refused=refused,
        statuses=statuses(sweep.record.jobs, records, refused),
    )
