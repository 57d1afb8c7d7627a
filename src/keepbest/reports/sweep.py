"""What the terminal shows of a sweep: the plan before, the table of its jobs after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from keepbest.reading.overrides import overrides_of, short_names, varying
from keepbest.reading.ranking import ranked
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.sweep_record import SweepJob
from keepbest.reports.console import standard_console

MOST_ROWS = 20
"""Jobs that the table after a sweep shows; a larger sweep shows its best and what failed."""

_LONGEST_CELL, _LONGEST_END, _LONGEST_ERROR = 24, 40, 300  # characters

_STYLE = {RunStatus.COMPLETED: "green", RunStatus.DIVERGED: "red", RunStatus.FAILED: "bold red"}


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
    needs = f"{_count(len(trainings), 'training')}{_epochs_at_stake(trainings)}"
    lines = [f"{_count(jobs, 'job')}{done}, {needs} in {sweep_dir}"]
    if whole:
        lines += [f"  {_outline(training)}" for training in trainings]
    for reason, numbers in _reasons(trainings).items():
        lines.append(f"  {_numbers(numbers)} on {'its' if len(numbers) == 1 else 'their'} own: {reason}")
    for line in lines:
        output.print(Text(_printable(line)), soft_wrap=True)


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
    _print_without_ends(_table(shown, jobs, records), output)
    if len(order) > len(shown):
        output.print(f"... and {len(order) - len(shown)} more", style="dim")
    for name, text in _summary(sweep_dir, jobs, records, order, trained_epochs):
        output.print(Text.assemble((f"{name:<11} ", "dim"), _printable(text)), soft_wrap=True)
    for message, numbers in _errors(records, failed).items():
        output.print(Text(f"{'':<12}{_numbers(numbers)} {_shortened(message, _LONGEST_ERROR)}"), soft_wrap=True)


def _print_without_ends(table: Table, output: Console) -> None:
    """Print a table without the blanks that fill its last column."""
    for line in output.render_lines(table, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
        output.print(Segments([*line, Segment.line()]), end="")


def _chosen(ranked: Sequence[int], failed: Sequence[int]) -> list[int]:
    """Return the jobs that have room: the best and those that failed, at least half of it for the best."""
    best = MOST_ROWS - min(len(failed), MOST_ROWS // 2)
    return list(dict.fromkeys([*ranked[:best], *failed]))[:MOST_ROWS]


def _table(numbers: Sequence[int], jobs: Mapping[int, SweepJob], records: Mapping[int, RunRecord]) -> Table:
    keys = varying(jobs.values())
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("job", justify="right", no_wrap=True)
    for name in short_names(keys):
        table.add_column(_cell(name), justify="right")  # these are cut where the others leave too little room
    monitors = {record.objective.monitor for record in records.values()}
    for name in ("score" if len(monitors) > 1 else "".join(monitors), "best at", "stop at"):
        table.add_column(_cell(name), justify="right", no_wrap=True)
    table.add_column("end", no_wrap=True)
    for number in numbers:
        record, overrides = records[number], overrides_of(jobs[number])
        end = Text(_shortened(_end(record), _LONGEST_END), style=_STYLE.get(record.status, "yellow"))
        values = (_cell(overrides.get(key, "")) for key in keys)
        table.add_row(str(number), *values, *_results(record), end)
    return table


def _cell(text: str) -> Text:
    """Return a text that takes one line, however long it is and whatever is in it."""
    return Text(_shortened(text, _LONGEST_CELL), no_wrap=True, overflow="ellipsis")


def _shortened(text: str, longest: int) -> str:
    text = _printable(text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _printable(text: str) -> str:
    """Return a text with escapes in place of what a terminal would obey."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _results(record: RunRecord) -> list[str]:
    stopping = record.stopping
    return [
        "" if record.best_model_score is None else f"{record.best_model_score:.6g}",
        _text(record.best_epoch),
        _text(stopping.stopped_epoch if stopping else None),
    ]


def _end(record: RunRecord) -> str:
    """Return why a job ended, and its status where that is not `completed`."""
    reason = (record.stopping.reason or "").replace("_", " ") if record.stopping else ""
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
    return f" of at most {_count(most, 'epoch')}" + (f" instead of {alone}" if alone > most else "") + ","


def _outline(training: TrainingOutline) -> str:
    limit = "" if training.most_epochs is None else f", at most {_count(training.most_epochs, 'epoch')}"
    return f"{_numbers(training.jobs)}{limit}"


def _reasons(trainings: Sequence[TrainingOutline]) -> dict[str, list[int]]:
    reasons: dict[str, list[int]] = {}
    for training in trainings:
        if training.alone:
            reasons.setdefault(training.alone, []).extend(training.jobs)
    return reasons


def _numbers(numbers: Sequence[int]) -> str:
    """Return numbers as a person lists them: `jobs 0-3, 8`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], number]
        else:
            ranges.append([number])
    noun = "job" if len(numbers) == 1 else "jobs"
    return f"{noun} {', '.join('-'.join(map(str, dict.fromkeys(part))) for part in ranges)}"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
