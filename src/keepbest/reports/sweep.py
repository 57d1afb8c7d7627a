"""What the terminal shows of a sweep: the plan before, the table of its jobs after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from keepbest.reading.overrides import overrides_of, short_names, varying
from keepbest.reading.ranking import ranked
from keepbest.reading.wording import counted, ranges
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.sweep_record import SweepJob
from keepbest.reports.console import standard_console
from keepbest.reports.fitted_table import Column, one_line, shortened, show_left_out, show_table
from keepbest.stopping.reasons import in_words

MOST_ROWS = 20
"""Jobs that the table after a sweep shows; a larger sweep shows its best and what failed."""

_LONGEST_CELL, _LONGEST_END, _LONGEST_ERROR = 24, 40, 300  # characters, of a cell in a terminal
_FIRST_OVERRIDES = 3  # more important than how a job ended

_STYLE = {RunStatus.COMPLETED: "", RunStatus.DIVERGED: "red", RunStatus.FAILED: "bold red"}


@dataclass(frozen=True)
class TrainingOutline:
    """One training of a plan.

    Args:
        jobs: the numbers of those whose it is.
        most_epochs: how long it can last at the most; None without such a limit.
        alone: why a job that trains alone must; None for one that merely has nobody to share with.
    """

    jobs: Sequence[int]
    most_epochs: int | None
    alone: str | None


def show_plan(
    sweep_dir: Path, jobs: int, trainings: Sequence[TrainingOutline], console: Console | None = None, *, whole: bool
) -> None:
    """Print how many jobs there are, and how many trainings they need.

    Args:
        sweep_dir: as a person would write it.
        jobs: how many were asked for.
        trainings: what is left to train for them.
        console: where to; None: standard output.
        whole: whether each training is listed.
    """
    output = console or standard_console()
    left = sum(len(training.jobs) for training in trainings)
    done = f", {jobs - left} with their results" if left < jobs else ""
    needs = f"{counted(len(trainings), 'training')}{_epochs_at_stake(trainings)}"
    lines = [f"{counted(jobs, 'job')}{done}, {needs} in {sweep_dir}"]
    if whole:
        lines += [f"  {_outline(training)}" for training in trainings]
    for reason, numbers in _reasons(trainings).items():
        lines.append(f"  {named(numbers)} on {'its' if len(numbers) == 1 else 'their'} own: {reason}")
    for line in lines:
        output.print(Text(one_line(line)), soft_wrap=True)


def show_sweep(
    sweep_dir: Path,
    jobs: Mapping[int, SweepJob],
    records: Mapping[int, RunRecord],
    trained_epochs: int,
    console: Console | None = None,
) -> None:
    """Print a table of the jobs, the best one first, and what sharing has saved.

    Args:
        sweep_dir: as a person would write it.
        jobs: the jobs by number.
        records: of those to show.
        trained_epochs: how many epochs were trained for them, all together.
        console: where to; None: standard output.
    """
    output = console or standard_console()
    order = ranked(records)
    failed = [number for number in order if records[number].status is not RunStatus.COMPLETED]
    shown = _chosen(order, failed)
    output.print()
    styles = [_STYLE.get(records[number].status, "yellow") for number in shown]
    left_out = show_table(_columns(shown, jobs, records), output, styles=styles)
    if len(order) > len(shown):
        output.print(f"... and {len(order) - len(shown)} more", style="dim")
    show_left_out(left_out, output)
    for name, text in _summary(sweep_dir, jobs, records, order, trained_epochs):
        output.print(Text.assemble((f"{name:<11} ", "dim"), one_line(text)), soft_wrap=True)
    for message, numbers in _errors(records, failed).items():
        output.print(Text(f"{'':<12}{named(numbers)} {shortened(one_line(message), _LONGEST_ERROR)}"), soft_wrap=True)


def _chosen(ranked: Sequence[int], failed: Sequence[int]) -> list[int]:
    """Return the jobs that have room: the best and those that failed, at least half of it for the best."""
    best = MOST_ROWS - min(len(failed), MOST_ROWS // 2)
    return list(dict.fromkeys([*ranked[:best], *failed]))[:MOST_ROWS]


def _columns(numbers: Sequence[int], jobs: Mapping[int, SweepJob], records: Mapping[int, RunRecord]) -> list[Column]:
    """Return the columns; of those that have no room, the last overrides go before how the jobs ended."""
    keys = varying(jobs.values())
    shown = [records[number] for number in numbers]
    given = [overrides_of(jobs[number]) for number in numbers]
    monitors = {record.objective.monitor for record in records.values()}
    stops = [record.stopping.stopped_epoch if record.stopping else None for record in shown]
    overrides = [
        Column(name, [one.get(key, "") for one in given], 2 if place < _FIRST_OVERRIDES else 4, True, _LONGEST_CELL)
        for place, (name, key) in enumerate(zip(short_names(keys), keys, strict=True))
    ]
    scores = ["" if record.best_model_score is None else f"{record.best_model_score:.6g}" for record in shown]
    return [
        Column("job", list(map(str, numbers)), right=True),
        *overrides,
        Column("score" if len(monitors) > 1 else "".join(monitors), scores, 1, right=True, longest=_LONGEST_CELL),
        Column("best at", [_text(record.best_epoch) for record in shown], 5, right=True),
        Column("stop at", [_text(stop) for stop in stops], 5, right=True),
        Column("end", [_end(record) for record in shown], 3, longest=_LONGEST_END),
    ]


def _end(record: RunRecord) -> str:
    """Return why a job ended, and its status where that is not `completed`."""
    reason = in_words(record.stopping.reason or "") if record.stopping else ""
    if record.status is RunStatus.COMPLETED:
        return reason
    return f"{record.status.value}: {reason}" if reason else record.status.value


def _summary(
    sweep_dir: Path,
    jobs: Mapping[int, SweepJob],
    records: Mapping[int, RunRecord],
    ranked: Sequence[int],
    trained_epochs: int,
) -> list[tuple[str, str]]:
    rows, bests = [], _bests(records, ranked)
    for monitor, number in bests.items():
        if path := records[number].best_model_path:
            name = "best" if len(bests) == 1 else f"best {monitor}"
            rows.append((name, f"job {number}, {sweep_dir / jobs[number].directory / path}"))
    alone = sum(record.timing.epochs_trained or 0 for record in records.values())
    saved = f", {alone} if each job had trained on its own" if alone > trained_epochs else ""
    rows.append(("epochs", f"{trained_epochs} trained{saved}"))
    rows.append(("sweep", str(sweep_dir)))
    return rows


def _bests(records: Mapping[int, RunRecord], ranked: Sequence[int]) -> dict[str, int]:
    """Return the best job of each objective."""
    bests: dict[str, int] = {}
    for number in ranked:
        if records[number].status is RunStatus.COMPLETED:
            bests.setdefault(records[number].objective.monitor, number)
    return bests


def _errors(records: Mapping[int, RunRecord], failed: Sequence[int]) -> dict[str, list[int]]:
    """Return what ended jobs early, each with the numbers of those that it ended."""
    errors: dict[str, list[int]] = {}
    for number in failed:
        if error := records[number].error:
            line = f"{records[number].status.value}: {error.type}: {error.message.strip().partition(chr(10))[0]}"
            errors.setdefault(line, []).append(number)
    return errors


def _epochs_at_stake(trainings: Sequence[TrainingOutline]) -> str:
    limits = [training.most_epochs for training in trainings]
    if not limits or None in limits:
        return ""
    most = sum(limit or 0 for limit in limits)
    alone = sum((training.most_epochs or 0) * len(training.jobs) for training in trainings)
    return f" of at most {counted(most, 'epoch')}" + (f" instead of {alone}" if alone > most else "") + ","


def _outline(training: TrainingOutline) -> str:
    limit = "" if training.most_epochs is None else f", at most {counted(training.most_epochs, 'epoch')}"
    return f"{named(training.jobs)}{limit}"


def _reasons(trainings: Sequence[TrainingOutline]) -> dict[str, list[int]]:
    reasons: dict[str, list[int]] = {}
    for training in trainings:
        if training.alone:
            reasons.setdefault(training.alone, []).extend(training.jobs)
    return reasons


def named(numbers: Sequence[int]) -> str:
    """Return jobs as a person lists them: `jobs 0-3, 8`."""
    return f"{'job' if len(numbers) == 1 else 'jobs'} {ranges(numbers)}"


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
