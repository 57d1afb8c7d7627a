"""The runs and sweeps under a directory, as rows; they may have come from anybody.

Each record is read by the rules of `keepbest.open_run`: sizes, checksums and paths first, nothing is executed, nothing
is written. What cannot be read is a row that says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from keepbest.errors import ConfigError, IntegrityError, RecordError
from keepbest.reading.given_overrides import given_overrides
from keepbest.reading.job_records import UNREADABLE
from keepbest.reading.listed_run import COLUMNS, ListedRun, start_of, status_of_all
from keepbest.reading.newest import start_of_sweep
from keepbest.reading.overrides import common, overrides_of, varying
from keepbest.reading.ranking import the_best
from keepbest.reading.record_places import record_places
from keepbest.reading.row_order import by_column, newest_first
from keepbest.reading.row_values import RowValues
from keepbest.reading.run_files import LARGEST_RECORD, require_file
from keepbest.reading.sweep_contents import SweepContents, contents_of
from keepbest.reading.sweep_directory import SweepDirectory
from keepbest.reading.trained_epochs import trained_epochs
from keepbest.records.locations import OUTPUTS, sweep_directory
from keepbest.records.ownership import as_it_stands
from keepbest.records.store import RUN_FILE, SWEEP_FILE, read_record

if TYPE_CHECKING:
    import pandas as pd


def list_runs(
    outputs: str | Path = OUTPUTS, *, where: str | None = None, sort: str | None = None, jobs: bool = False
) -> pd.DataFrame:
    """Return the runs and sweeps under a directory as a table, the newest first.

    A row of a sweep has the results and the overrides of its best job, and the names of the overrides in which its jobs
    differ as `varying`. What did not happen is NA. `status` is that of the record; of a sweep how many jobs have which;
    `unreadable` where a record is refused, `problem` says why. Of a training that goes on or was killed,
    `epochs_trained` is as far as its metrics go. A training that jobs of a sweep share has the overrides that all of
    them have. Links to directories are followed right below the directory and one level deeper.

    Args:
        outputs: the directory, at any height above them. In that of a sweep, its jobs are listed.
        where: a condition that rows must meet, such as `"patience>=5 and status=='completed'"`. A name is a column, the
            dotted key of a setting (`model.optimizer.lr`), or its end; see `keepbest.reading.row_filter`.
        sort: a column or a setting, the smallest first; "score" puts the best first, one objective after the other.
        jobs: whether the jobs of sweeps are listed instead of the sweeps.

    Raises:
        ConfigError: for what is no directory, a condition that cannot be read or met, and names that no row has.
    """
    import pandas as pd

    from keepbest.reading.sweep_table import KINDS, of_kind

    rows = list(listed(outputs, where=where, sort=sort, jobs=jobs))
    columns: dict[str, Any] = {
        name: of_kind(KINDS.get(name, "string"), [row.value(name) for row in rows])
        for name in COLUMNS
        if name != "started"
    }
    columns["started"] = pd.array([row.started for row in rows], dtype=pd.DatetimeTZDtype("us", "UTC"))
    return pd.DataFrame(columns, columns=list(COLUMNS))


def listed(
    outputs: str | Path, *, where: str | None = None, sort: str | None = None, reverse: bool = False, jobs: bool = False
) -> list[ListedRun]:
    """Return the rows of the table; see `list_runs`.

    Args:
        outputs: see `list_runs`.
        where: see `list_runs`.
        sort: see `list_runs`.
        reverse: whether the last come first; what lacks a value to be sorted by stays last.
        jobs: see `list_runs`.
    """
    from keepbest.reading.row_filter import RowFilter

    if sort is not None and not isinstance(sort, str):
        raise ConfigError("rows are sorted by the name of a column or a setting", received=sort)
    condition = None if where is None else RowFilter(where)
    rows = list(_rows_under(_directory(outputs), jobs=jobs))
    values = RowValues(rows)
    order = None if sort is None else values.named([sort])[sort]
    if condition is not None:
        lookups = values.named(condition.names)
        condition.require_sense({name: [lookup(row) for row in rows] for name, lookup in lookups.items()})
        rows = [row for row in rows if condition.matches({name: lookups[name](row) for name in lookups}.get)]
    if sort is None or order is None:
        return newest_first(rows, reverse=reverse)
    return by_column(newest_first(rows), sort, order, reverse=reverse)


def _directory(outputs: str | Path) -> Path:
    try:
        place = Path(outputs).expanduser()
        if place.is_dir():
            return place
    except (OSError, RuntimeError, ValueError, TypeError):  # of a user that is not there; no path at all
        pass
    raise ConfigError(
        "runs are listed of a directory", received=str(outputs), remedy="Name one that is there: keepbest ls PATH"
    )


def _rows_under(place: Path, *, jobs: bool) -> Iterator[ListedRun]:
    """Return a row for each run and each sweep; for each job where they are asked for, or the place is a sweep."""
    root = place.resolve()
    around = _sweep_around(root)
    for name, directory, file in record_places(root):
        shown = str(place / name)
        if file == RUN_FILE:
            yield _run(directory, name, shown, around)
            continue
        try:
            contents = contents_of(directory)
        except (RecordError, IntegrityError) as error:
            yield _unreadable(directory / file, name, shown, error)
            continue
        yield from _jobs(contents, name, place) if jobs or directory == root else [_sweep(contents, name, shown)]


def _sweep_around(place: Path) -> SweepDirectory | None:
    """Return the sweep in which a directory lies; none where it cannot be read."""
    sweep = sweep_directory(place)
    try:
        return None if sweep is None else SweepDirectory(sweep)
    except (RecordError, IntegrityError):
        return None


def _run(directory: Path, name: str, shown: str, around: SweepDirectory | None) -> ListedRun:
    """Return a row for a run; for a job where the sweep around it says so."""
    try:
        require_file(directory, RUN_FILE, LARGEST_RECORD)
        record = as_it_stands(directory, read_record(directory))
    except (RecordError, IntegrityError) as error:
        return _unreadable(directory / RUN_FILE, name, shown, error)
    jobs = around.record.jobs if around else []
    job = next((job for job in jobs if around and around.jobs[job.number] == directory), None)
    sharing = [one for one in jobs if around and one.trajectory and around.place / one.trajectory == directory]
    overrides = overrides_of(job) if job else common(sharing) if sharing else given_overrides(directory, record)
    return ListedRun(
        name=name,
        path=shown,
        kind="run" if job is None else "job",
        status=record.status.value,
        record=record,
        directory=directory,
        overrides=overrides,
        varying=() if job is None else tuple(varying(jobs)),
        started=start_of(record),
        epochs_trained=trained_epochs(directory, record),
        time=_time(start_of(record), directory / RUN_FILE),
    )


def _jobs(contents: SweepContents, sweep: str, place: Path) -> Iterator[ListedRun]:
    keys = tuple(varying(contents.jobs.values()))
    time = _time(start_of_sweep(contents), contents.directory / SWEEP_FILE)
    for number, job in contents.jobs.items():
        directory, record = contents.directories[number], contents.records.get(number)
        name = PurePosixPath(sweep, job.directory).as_posix()
        refused = contents.refused.get(number)
        yield ListedRun(
            name=name,
            path=str(place / name),
            kind="job",
            status=contents.statuses[number],
            record=record,
            directory=directory,
            overrides=overrides_of(job),
            varying=keys,
            started=start_of(record),
            epochs_trained=None if record is None else trained_epochs(directory, record),
            time=time,
            problem=None if refused is None else str(refused),
        )


def _sweep(contents: SweepContents, name: str, shown: str) -> ListedRun:
    try:
        best = the_best(dict(contents.records))
    except RecordError:  # several objectives
        best = None
    record = None if best is None else contents.records[best]
    return ListedRun(
        name=name,
        path=shown,
        kind="sweep",
        status=status_of_all(contents.statuses.values()),
        statuses=frozenset(contents.statuses.values()),
        record=record,
        directory=None if best is None else contents.directories[best],
        overrides={} if best is None else overrides_of(contents.jobs[best]),
        varying=tuple(varying(contents.jobs.values())),
        started=start_of_sweep(contents),
        epochs_trained=None if record is None else record.timing.epochs_trained,
        time=_time(start_of_sweep(contents), contents.directory / SWEEP_FILE),
    )


def _unreadable(file: Path, name: str, shown: str, error: Exception) -> ListedRun:
    return ListedRun(
        name=name,
        path=shown,
        kind="sweep" if file.name == SWEEP_FILE else "run",
        status=UNREADABLE,
        time=_time(None, file),
        problem=str(error),
    )


def _time(start: datetime | None, path: Path) -> float:
    if start is not None:
        return start.timestamp()
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
