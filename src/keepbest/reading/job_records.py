"""The records of a sweep's jobs, each as it stands on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from keepbest.errors import IntegrityError, RecordError
from keepbest.reading.run_files import LARGEST_RECORD, require_file
from keepbest.records.ownership import as_it_stands
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import RUN_FILE, read_record
from keepbest.records.sweep_record import SweepJob

MISSING, UNREADABLE = "missing", "unreadable"
"""What a table says of a job whose directory has no record any more, or one that is refused."""

_Stamp = tuple[int, int, int]


class JobRecords:
    """Reads the records of jobs; one that has not been replaced since is not read again.

    Args:
        directories: of the jobs, by number.
        trust: whether records that were edited are accepted, and links out of a directory followed.
    """

    def __init__(self, directories: dict[int, Path], *, trust: bool) -> None:
        self._directories, self._trust = directories, trust
        self._known: dict[int, tuple[_Stamp, RunRecord]] = {}

    def read(self) -> tuple[dict[int, RunRecord], dict[int, Exception]]:
        """Return the records by number, and why others are refused; a job without a record is in neither."""
        records: dict[int, RunRecord] = {}
        refused: dict[int, Exception] = {}
        for number, directory in self._directories.items():
            try:
                if record := self._record(number, directory):
                    records[number] = as_it_stands(directory, record)
            except (RecordError, IntegrityError) as error:
                refused[number] = error
        return records, refused

    def _record(self, number: int, directory: Path) -> RunRecord | None:
        path = directory / RUN_FILE if self._trust else require_file(directory, RUN_FILE, LARGEST_RECORD)
        stamp = _stamp(path)
        if stamp is None:
            return None
        known = self._known.get(number)
        if known is None or known[0] != stamp:
            known = stamp, read_record(directory, verify=not self._trust)
            self._known[number] = known
        return known[1]


def statuses(jobs: Iterable[SweepJob], records: dict[int, RunRecord], refused: dict[int, Exception]) -> dict[int, str]:
    """Return where each job stands, in a word: a `RunStatus`, `missing` or `unreadable`."""
    found: dict[int, str] = {}
    for job in jobs:
        if job.number in records:
            found[job.number] = records[job.number].status.value
        elif job.number in refused:
            found[job.number] = UNREADABLE
        else:
            found[job.number] = RunStatus.PENDING.value if job.status is RunStatus.PENDING else MISSING
    return found


def _stamp(path: Path) -> _Stamp | None:
    """Return what differs when a file was replaced; None when there is no file."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RecordError(f"{path} cannot be looked at: {error.strerror}.") from error
    return status.st_ino, status.st_mtime_ns, status.st_size
