"""A sweep, opened from the directory it left, which may have come from somebody else.

The rules are those of `keepbest.reading.run`: sizes, checksums and paths before anything else, nothing is executed and
nothing is written. Records are read when they are asked for, so that a sweep that goes on shows how far it is; jobs
that are added to it later are seen when it is opened again.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.errors import RecordError
from keepbest.reading.job_records import JobRecords, statuses
from keepbest.reading.named_modules import checked_modules
from keepbest.reading.newest import newest_sweep
from keepbest.reading.ranking import objective_of_all, ranked, the_best
from keepbest.reading.run import Run
from keepbest.reading.sweep_directory import SweepDirectory
from keepbest.reading.wording import counted, ranges
from keepbest.records.locations import OUTPUTS, run_directory
from keepbest.records.run_record import RunRecord

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MOST_ROWS = 30
"""Jobs that a notebook shows of a sweep."""

_LONGEST_RANGES = 200  # characters


def open_sweep(path: str | Path, *, trust: bool = False, modules: Sequence[str] = ()) -> Sweep:
    """Open a sweep.

    Args:
        path: its directory, or any file right inside it such as `sweep.json`.
        trust: see `open_run`; holds for the sweep's record and for all of its runs.
        modules: see `open_run`.

    Raises:
        RecordError: when there is no sweep, or its record cannot be read or leads out of the directory.
        IntegrityError: when its record is not as it was written.
        ConfigError: for what is no path, and for modules that are no list of names.
    """
    return Sweep(run_directory(path, "sweep").resolve(), trust=trust, modules=modules)


def latest_sweep(outputs: str | Path = OUTPUTS, *, trust: bool = False, modules: Sequence[str] = ()) -> Sweep:
    """Open the sweep that was launched last, whatever its name: the one whose first job began last.

    Args:
        outputs: the directory that holds `sweeps`.
        trust: see `open_run`.
        modules: see `open_run`.

    Raises:
        RecordError: when there is none; and what `open_sweep` raises.
    """
    return Sweep(newest_sweep(Path(outputs).expanduser()).resolve(), trust=trust, modules=modules)


class Sweep:
    """A sweep, as it lies on disk, finished or not.

    Attributes:
        directory: where the sweep lies now.
        record: `sweep.json` as plain data; its keys are those of `keepbest.records.sweep_record.SweepRecord`. What it
            says of a job's status may be older than the job's own record.
        runs: the run of each job by its number, opened when it is asked for.
    """

    def __init__(self, directory: Path, *, trust: bool = False, modules: Sequence[str] = ()) -> None:
        self.directory = directory
        self._trust, self._modules = trust, checked_modules(modules)
        self._files = SweepDirectory(directory, trust=trust)
        self._jobs, self._directories = self._files.record.jobs, self._files.jobs
        self._records = JobRecords(self._directories, trust=trust)
        self.runs: Mapping[int, Run] = _Runs(self._directories, trust=trust, modules=self._modules)

    def __len__(self) -> int:
        return len(self._jobs)

    def __repr__(self) -> str:
        text = f"<Sweep {self._files.record.id}: {counted(len(self), 'job')}>"
        return text if text.isprintable() else repr(text)  # a terminal obeys some characters

    @property
    def record(self) -> dict[str, Any]:
        """`sweep.json` as plain data, as it was when the sweep was opened."""
        return self._files.record.as_dict()

    def table(self, *, aggregate: str | None = None, best_first: bool = False) -> pd.DataFrame:
        """Return the jobs as a table, a row for each, its number as the index.

        The columns: each override in which jobs differ, by the last part of its key (the whole key where two end
        alike), as numbers, truth values or texts; then `score` (the best value of the objective), `best_epoch`,
        `stopped_epoch` (none where early stopping did not end the training), `reason`, `epochs_trained`, `status` and
        `path`. What did not happen, an override that a job lacks, and `null` are NA. `status` is that of the job's
        record; `missing` when its directory has none any more, `unreadable` when it is refused.

        `attrs` holds the `objective`, the `fixed` overrides, which all jobs have, and the whole `keys` of the columns.

        Args:
            aggregate: an override, such as "seed": the table then has a row for each combination of the others, with
                `score_mean`, `score_std`, `score_min`, `score_max` and `count` of the completed jobs in it.
            best_first: completed jobs first, the best score at the top; else in the order of the numbers.

        Raises:
            ConfigError: when no override of that name varies.
            RecordError: when the jobs to aggregate have several objectives.
        """
        from keepbest.reading.sweep_table import aggregated

        records, table = self._read()
        if aggregate is not None:
            objective = objective_of_all(records)
            table = aggregated(table, aggregate)
            if best_first:
                descending = objective is not None and objective.mode == "max"
                table = table.sort_values("score_mean", ascending=not descending, kind="stable", ignore_index=True)
            return table
        return table.loc[_order(self._directories, records)] if best_first else table

    def best(self) -> Run:
        """Return the completed run with the best score; of equal ones that with the lowest number.

        Raises:
            RecordError: when no job has completed, or they do not have one objective.
        """
        records, refused = self._records.read()
        number = the_best(records)
        if number is None:
            found = list(statuses(self._jobs, records, refused).values())
            counted = ", ".join(f"{found.count(status)} {status}" for status in dict.fromkeys(found)) or "no jobs"
            raise RecordError(f"the best job is one that has completed, this sweep has none: {counted}.")
        return self.runs[number]

    def heatmap(self, x: str, y: str, value: str = "score", *, aggregate: str = "mean", ax: Any = None) -> Figure:
        """Draw a result of the completed jobs over two overrides.

        The cells with the best score are framed. Combinations without a completed job are grey.

        Args:
            x: the override along the horizontal axis, as the table names it, or its whole key.
            y: the one along the vertical axis.
            value: "score", "stopped_epoch" (or "stop_epoch"), "best_epoch" or "epochs_trained" (or "epochs").
            aggregate: how the jobs of one cell are taken together: "mean", "median", "min", "max" or "std".
            ax: the matplotlib axes to draw in; None makes a new figure.

        Raises:
            ConfigError: for an override that does not vary, and for another value or aggregate.
            RecordError: when no job has completed, or they do not have one objective.
        """
        from keepbest.reading.sweep_grid import grid_of
        from keepbest.reports.heatmap import draw_heatmap

        records, table = self._read()
        objective_of_all(records)
        return draw_heatmap(grid_of(table, x, y, value, aggregate), ax)

    def curves(self, *, ax: Any = None) -> Figure:
        """Draw the objective's metric over the epochs of each distinct training, and where it ended for its jobs.

        These are named by their numbers as far as there is room.

        Args:
            ax: the matplotlib axes to draw in; None makes a new figure.

        Raises:
            RecordError: when no training has begun, or the jobs do not have one objective.
            IntegrityError: for metrics that are not as they were recorded.
        """
        from keepbest.reading.sweep_trainings import curves_of
        from keepbest.reports.sweep_curves import draw_sweep_curves

        records, _ = self._records.read()
        objective, best = objective_of_all(records), the_best(records)
        curves = curves_of(self._jobs, records, best, self._files.inside, self._open)
        if objective is None or not curves:
            raise RecordError("the curves of a sweep begin with the first check of a training, there is none yet.")
        trainings = counted(len(curves), "training")
        title = f"{counted(len(records), 'job')}, {trainings}"
        if best is not None:
            title += f"; best: job {best}, {objective.monitor} {records[best].best_model_score:.6g}"
            title += f" in epoch {records[best].best_epoch}"
        return draw_sweep_curves(curves, objective.monitor, title, ax)

    def _repr_html_(self) -> str:
        from keepbest.reading.views import sweep_html

        records, table = self._read()
        return sweep_html(self._files.record.id, self.directory, table, _order(self._directories, records)[:_MOST_ROWS])

    def _read(self) -> tuple[dict[int, RunRecord], pd.DataFrame]:
        from keepbest.reading.sweep_table import table_of

        records, refused = self._records.read()
        if refused:
            number, error = next(iter(refused.items()))
            warnings.warn(
                f"{counted(len(refused), 'record')} of this sweep cannot be read; job {number}: {error}", stacklevel=3
            )
        return records, table_of(self._jobs, records, statuses(self._jobs, records, refused), self._directories)

    def _open(self, directory: Path) -> Run:
        return Run(directory, trust=self._trust, modules=self._modules)


class _Runs(Mapping[int, Run]):
    """The runs of a sweep by number, each opened once."""

    def __init__(self, directories: Mapping[int, Path], *, trust: bool, modules: Sequence[str]) -> None:
        self._directories, self._trust, self._modules = directories, trust, modules
        self._opened: dict[int, Run] = {}

    def __getitem__(self, number: int) -> Run:
        if number not in self._directories:
            there = ranges(self._directories)[:_LONGEST_RANGES] or "none"
            raise KeyError(f"a run of a sweep is found by the number of its job ({there}), got {number!r}")
        if number not in self._opened:
            self._opened[number] = Run(self._directories[number], trust=self._trust, modules=self._modules)
        return self._opened[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._directories)

    def __len__(self) -> int:
        return len(self._directories)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'run')}>"


def _order(numbers: Mapping[int, Path], records: Mapping[int, RunRecord]) -> list[int]:
    """Return all numbers, the best first, those without a record last."""
    return [*ranked(records), *(number for number in numbers if number not in records)]
