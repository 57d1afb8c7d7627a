"""`keepbest train -m` and `keepbest resume SWEEP`: many jobs, as Hydra's sweeper hands them over."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.records.locations import for_people
from keepbest.records.run_record import RunRecord
from keepbest.records.store import read_sweep
from keepbest.records.sweep_record import SweepJob
from keepbest.reports.search import SearchOutline, show_search, show_search_end
from keepbest.reports.sweep import TrainingOutline, show_plan, show_sweep
from keepbest.reports.sweep_progress import SweepProgress, TrainingToShow
from keepbest.sweeping.held_sweep import held_sweep
from keepbest.sweeping.hydra_sweep import directory_of, jobs_of, open_search, open_sweep, write_multirun
from keepbest.sweeping.launching import LauncherError
from keepbest.sweeping.proof import ProofError
from keepbest.sweeping.settings import DIRECTIONS, sweep_settings
from keepbest.sweeping.stop_order import StopOrder
from keepbest.training.interruption import Interrupted
from keepbest.training.job_log import LOG_FILE

if TYPE_CHECKING:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    from keepbest.sweeping.plan import Training
    from keepbest.sweeping.search import Search
    from keepbest.sweeping.sweep_run import Plan, SweepRun

Runs = list[tuple[Path, RunRecord]]
_DIRECTORY_KEY = "hydra.sweep.dir"


def run_sweep(
    sweeper: BasicSweeper,
    overrides: Sequence[str],
    settings: Mapping[str, Any],
    arguments: Sequence[str],
    *,
    resumes: bool,
) -> Runs:
    """Run the jobs of a sweep, and show what became of them.

    Args:
        sweeper: Hydra's, set up.
        overrides: the sweep's, with its choices and ranges.
        settings: of the sweeper.
        arguments: the command line, for the record.
        resumes: whether the jobs are those that the sweep's directory holds, whatever the overrides say; a search goes
            on with them either way.

    Returns:
        The directory and the record of each job; none of a dry run.

    Raises:
        ConfigError: for a job that cannot work, before any is trained.
        OwnedError: when another command works on the sweep.
        LauncherError: when the launcher failed, beside the trainings.
        ProofError: when a member's result is not that of an independent job.
        Interrupted: when a signal ended the sweep.
    """
    writes = not sweep_settings(settings).dry_run
    with held_sweep(directory_of(sweeper)) if writes else nullcontext():
        return _run_held(sweeper, overrides, settings, arguments, resumes=resumes)


def _run_held(
    sweeper: BasicSweeper,
    overrides: Sequence[str],
    settings: Mapping[str, Any],
    arguments: Sequence[str],
    *,
    resumes: bool,
) -> Runs:
    sweep = open_sweep(sweeper, settings, _Display(), arguments, resumes=resumes)
    search = open_search(sweeper, sweep, settings, overrides)
    batches: Iterable[list[list[str]]]
    if search is not None:
        show_search(for_people(sweep.directory), _search_outline(search))
        batches = () if sweep.settings.dry_run else search.batches()
    else:
        batches = [[job.overrides for job in sweep.jobs.values()] if resumes else jobs_of(sweeper, overrides)]
    plans = _plans(sweep, batches, all_jobs=search is None)
    records: dict[int, RunRecord] = {}
    if sweep.settings.dry_run:
        list(plans)
        return []
    order = StopOrder(sweep.directory)
    with order.of_this_command():
        for plan in plans:
            write_multirun(sweeper, sweep.directory)
            with _telling_how_to_go_on(sweep, plan.numbers):
                sweep.run(plan)
            records |= sweep.records(plan.numbers)
        if not order.is_given:
            _prove(sweep, records)
    if search is not None:
        records = sweep.records()  # those of earlier commands are part of the search
    if records:
        _show_table(sweep, records)
        if search is not None:
            show_search_end(_best_trial(search), search.counts(), search.ended_early)
    return [(sweep.directory_of(number), record) for number, record in records.items()]


def _plans(sweep: SweepRun, batches: Iterable[list[list[str]]], *, all_jobs: bool) -> Iterator[Plan]:
    for batch in batches:
        plan = sweep.plan(batch, all_jobs=all_jobs)
        outlines = [_outline(training, sweep.jobs) for training in plan.trainings]
        show_plan(for_people(sweep.directory), len(set(plan.numbers)), outlines, whole=sweep.settings.dry_run)
        sys.stdout.flush()
        yield plan


def _prove(sweep: SweepRun, records: Mapping[int, RunRecord]) -> None:
    if not sweep.settings.prove or not records:
        return
    try:
        with _telling_how_to_go_on(sweep, list(records)):
            count = sweep.prove(records)
    except ProofError:
        _show_table(sweep, records)
        raise
    if count:
        text = f"proved: {count} trained on their own gave the same, bit for bit"
    elif any(job.trajectory for job in sweep.jobs.values()):
        text = "nothing is proved yet: no job that was trained with others has its result"
    else:
        text = "nothing to prove: no job was trained with others"
    sys.stdout.write(f"{text}\n")


def _show_table(sweep: SweepRun, records: Mapping[int, RunRecord]) -> None:
    show_sweep(for_people(sweep.directory), sweep.jobs, records, sweep.trained_epochs(records))


@contextmanager
def _telling_how_to_go_on(sweep: SweepRun, numbers: Sequence[int]) -> Iterator[None]:
    try:
        yield
    except Interrupted:
        _say_how_to_go_on(sweep)
        raise
    except LauncherError:
        _show_table(sweep, sweep.records(numbers))
        _say_how_to_go_on(sweep)
        raise


def _say_how_to_go_on(sweep: SweepRun) -> None:
    where = shlex.quote(str(for_people(sweep.directory)))
    sys.stderr.write(f"keepbest: go on with this sweep by `keepbest resume {where}`\n")


class _Display:
    """Shows on the terminal what becomes of trainings."""

    def begin(self, trainings: Sequence[Training]) -> None:
        """Show that they are going to run."""
        shown = [
            TrainingToShow(training.in_words(), for_people(training.directory / LOG_FILE), _most_epochs(training))
            for training in trainings
        ]
        self._progress = SweepProgress(shown)
        self._progress.start()

    def hear(self, number: int, record: RunRecord) -> None:
        """Show how far one of them is."""
        self._progress.update(number, record)

    def end(self) -> None:
        """Leave the terminal to others."""
        self._progress.stop()


def _most_epochs(training: Training) -> int | None:
    most_epochs = training.jobs[0].config["trainer"].get("max_epochs")
    return None if most_epochs in (None, -1) else most_epochs


def _outline(training: Training, jobs: Mapping[int, SweepJob]) -> TrainingOutline:
    numbers = [job.number for job in training.jobs]
    return TrainingOutline(numbers, _most_epochs(training), jobs[numbers[0]].alone)


def _search_outline(search: Search) -> SearchOutline:
    return SearchOutline(
        n_trials=search.n_trials,
        n_jobs=min(search.settings.n_jobs, search.n_trials),
        sampler=search.sampler_name,
        direction=DIRECTIONS[search.objective.mode],
        monitor=search.objective.monitor,
        parameters={parameter.key: parameter.in_words() for parameter in search.space.parameters},
    )


def _best_trial(search: Search) -> str | None:
    best = search.best()
    return None if best is None else f"{best.number}, job {best.job}: {' '.join(best.overrides)}"


def arguments_to_resume(sweep_dir: Path) -> list[str]:
    """Return the command line that goes on with a sweep: its own, in its own directory."""
    kept = [text for text in read_sweep(sweep_dir).arguments if not text.startswith(f"{_DIRECTORY_KEY}=")]
    quoted = str(sweep_dir.absolute()).replace("\\", "\\\\").replace("'", "\\'")
    return [*kept, f"{_DIRECTORY_KEY}='{quoted}'"]
