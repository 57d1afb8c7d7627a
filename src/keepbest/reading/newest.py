"""The run and the sweep that were launched last, by when their records say that they began."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from keepbest.errors import IntegrityError, RecordError
from keepbest.reading.listed_run import start_of
from keepbest.reading.run_files import LARGEST_RECORD, require_file
from keepbest.reading.sweep_contents import SweepContents, contents_of
from keepbest.records.locations import LATEST, RUNS, SWEEPS
from keepbest.records.store import RUN_FILE, SWEEP_FILE, read_record

_Look = Callable[[Path], datetime | None]


def newest_run(outputs: Path) -> Path:
    """Return the directory of the run that was launched last: the one that `latest` links to, if there is that link.

    Raises:
        RecordError: when there is none.
    """
    link = outputs / LATEST
    if link.is_symlink() and (link / RUN_FILE).is_file():
        return link.resolve()
    run = _newest((outputs / RUNS).glob(f"*/{RUN_FILE}"), [_start_of_run])
    if run is None:
        raise RecordError(f"there is no run in {str(outputs)!r}. Train one with keepbest train, or name the directory.")
    return run


def newest_sweep(outputs: Path) -> Path:
    """Return the directory of the sweep that was launched last, whatever its name.

    Raises:
        RecordError: when there is none.
    """
    sweep = _newest((outputs / SWEEPS).glob(f"*/{SWEEP_FILE}"), [_start_of_a_job, _start_of_all])
    if sweep is None:
        raise RecordError(
            f"there is no sweep in {str(outputs)!r}. Make one with keepbest train -m, or name the directory."
        )
    return sweep


def start_of_sweep(contents: SweepContents) -> datetime | None:
    """Return when the first of a sweep's jobs began, whatever its number; None where no record says so."""
    return min((start for record in contents.records.values() if (start := start_of(record))), default=None)


def _newest(files: Iterable[Path], looks: Sequence[_Look]) -> Path | None:
    """Return the directory of the record that began last; of several, such as copies, the one of the last name.

    What began later was written later, and no sweep began after any of its jobs: each look gives a time, the next an
    earlier one at most. So of a thousand, the next is taken only at the one that may still be the last. Where records
    do not say when they began, the time at which they were written counts.

    Args:
        files: the records.
        looks: the cheap ones first.
    """
    by_name = sorted(files, key=lambda file: file.parent.name, reverse=True)
    waiting = [(-file.lstat().st_mtime, order, 0, file.parent) for order, file in enumerate(by_name)]
    heapq.heapify(waiting)
    while waiting:
        time, order, looked, place = heapq.heappop(waiting)
        if looked == len(looks):
            return place
        began = looks[looked](place.resolve())
        heapq.heappush(waiting, (time if began is None else -began.timestamp(), order, looked + 1, place))
    return None


def _start_of_run(directory: Path) -> datetime | None:
    try:
        require_file(directory, RUN_FILE, LARGEST_RECORD)
        return start_of(read_record(directory))
    except (RecordError, IntegrityError):
        return None


def _start_of_a_job(sweep: Path) -> datetime | None:
    """Return when any one job began whose directory lies right in that of its sweep."""
    jobs = (file.parent for file in sweep.glob(f"*/{RUN_FILE}") if not file.parent.is_symlink())
    return next((start for job in jobs if (start := _start_of_run(job))), None)


def _start_of_all(sweep: Path) -> datetime | None:
    try:
        return start_of_sweep(contents_of(sweep))
    except (RecordError, IntegrityError):
        return None
