"""The run and the sweep that were launched last, by when their records say that they began."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from keepbest.errors import IntegrityError, RecordError
from keepbest.reading.listed_run import start_of
from keepbest.reading.run_files import LARGEST_RECORD, require_file
from keepbest.reading.sweep_directory import SweepDirectory
from keepbest.records.locations import LATEST, RUNS, SWEEPS
from keepbest.records.store import RUN_FILE, SWEEP_FILE, read_record


def newest_run(outputs: Path) -> Path:
    """Return the directory of the run that was launched last: the one that `latest` links to, if there is that link.

    Raises:
        RecordError: when there is none.
    """
    link = outputs / LATEST
    if link.is_symlink() and (link / RUN_FILE).is_file():
        return link.resolve()
    run = _newest((outputs / RUNS).glob(f"*/{RUN_FILE}"), _start_of_run)
    if run is None:
        raise RecordError(f"there is no run in {str(outputs)!r}. Train one with keepbest train, or name the directory.")
    return run


def newest_sweep(outputs: Path) -> Path:
    """Return the directory of the sweep that was launched last, whatever its name.

    Raises:
        RecordError: when there is none.
    """
    sweep = _newest((outputs / SWEEPS).glob(f"*/{SWEEP_FILE}"), _start_of_sweep)
    if sweep is None:
        raise RecordError(
            f"there is no sweep in {str(outputs)!r}. Make one with keepbest train -m, or name the directory."
        )
    return sweep


def _newest(files: Iterable[Path], start: Callable[[Path], datetime | None]) -> Path | None:
    """Return the directory of the record that began last.

    Where a record does not say so, the time at which it was written counts. What was launched later was written later,
    so of a thousand sweeps only those are read that were written since the newest began.
    """
    written = sorted(((file.lstat().st_mtime, file.parent) for file in files), reverse=True)
    newest: tuple[float, str, Path] | None = None
    for time, place in written:
        if newest is not None and time < newest[0]:
            break
        began = start(place.resolve())
        found = (time if began is None else began.timestamp(), place.name, place)
        newest = found if newest is None else max(newest, found)
    return None if newest is None else newest[2]


def _start_of_run(directory: Path) -> datetime | None:
    try:
        require_file(directory, RUN_FILE, LARGEST_RECORD)
        return start_of(read_record(directory))
    except (RecordError, IntegrityError):
        return None


def _start_of_sweep(directory: Path) -> datetime | None:
    """Return when the first job of a sweep that has begun did so."""
    try:
        jobs = SweepDirectory(directory).jobs.values()
    except (RecordError, IntegrityError):
        return None
    return next((start for job in jobs if (start := _start_of_run(job))), None)
