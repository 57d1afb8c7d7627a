"""What the terminal shows of the runs and sweeps under a directory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from keepbest.reading.job_records import MISSING, UNREADABLE
from keepbest.reading.listed_run import ListedRun
from keepbest.reading.moments import shown
from keepbest.reading.overrides import short_names
from keepbest.records.run_record import RunStatus
from keepbest.reports.console import standard_console
from keepbest.reports.fitted_table import Column, one_line, shortened, show_left_out, show_table
from keepbest.stopping.reasons import in_words

_STYLES = {
    RunStatus.DIVERGED.value: "red", RunStatus.FAILED.value: "red", UNREADABLE: "red", MISSING: "red",
    RunStatus.INTERRUPTED.value: "yellow", RunStatus.RUNNING.value: "cyan", RunStatus.PENDING.value: "dim",
}  # fmt: skip
_MOST_PROBLEMS = 5
_LONGEST_PROBLEM = 200  # characters


def show_listing(rows: Sequence[ListedRun], found: int, console: Console | None = None) -> None:
    """Print a table of rows, and below it, on a terminal, what has no room in it.

    Args:
        rows: to show.
        found: how many there are.
        console: where to; None: standard output.
    """
    output = console or standard_console()
    left_out = show_table(
        _columns(rows, output.is_terminal), output, styles=[_STYLES.get(row.status, "") for row in rows]
    )
    if not output.is_terminal:
        return
    if found > len(rows):
        output.print(f"... and {found - len(rows)} more", style="dim")
    statuses = {row.status for row in rows}
    if left_out and len(statuses) == 1:
        output.print(Text(f"all of them {one_line(next(iter(statuses)))}", style="dim"), soft_wrap=True)
    show_left_out(left_out, output, "a pipe, --csv and --json have all")
    problems = [row for row in rows if row.problem]
    for row in problems[:_MOST_PROBLEMS]:
        output.print(
            Text(f"{one_line(row.path)}: {shortened(_problem(row), _LONGEST_PROBLEM)}"), style="red", soft_wrap=True
        )
    if len(problems) > _MOST_PROBLEMS:
        output.print(f"... and {len(problems) - _MOST_PROBLEMS} more that cannot be read", style="red")


def _columns(rows: Sequence[ListedRun], in_terminal: bool) -> list[Column]:
    is_uniform = len({row.status for row in rows}) == 1
    objectives = {row.record.objective for row in rows if row.record}
    columns = [
        Column("path", [row.path for row in rows], yields_to=2),
        Column("kind", [row.kind for row in rows], rank=8),
        Column("status", [row.status for row in rows], rank=5 if is_uniform else 2, longest=26),
        Column("monitor", [_text(row, "monitor") for row in rows], rank=3 if len(objectives) > 1 else 9, longest=24),
        Column("score", [_text(row, "score") for row in rows], rank=1, right=True),
        Column("best_epoch", [_text(row, "best_epoch") for row in rows], rank=6, right=True),
        Column("stopped_epoch", [_text(row, "stopped_epoch") for row in rows], rank=6, right=True),
        Column("reason", [in_words(_text(row, "reason")) for row in rows], rank=7, longest=24),
        Column("epochs_trained", [_text(row, "epochs_trained") for row in rows], rank=5, right=True),
        Column("started", [shown(row.started) for row in rows], rank=4),
        Column("overrides", [overrides_text(row) for row in rows], rank=3, longest=48),
        Column("varying", [_text(row, "varying") for row in rows], rank=3, longest=36),
    ]
    return columns if in_terminal else [*columns, Column("problem", [_problem(row) for row in rows], rank=10)]


def overrides_text(row: ListedRun) -> str:
    """Return the overrides by their short names; of a sweep's jobs, the best among them, those that vary."""
    keys = [key for key in row.overrides if row.kind == "run" or key in row.varying]
    return " ".join(f"{name}={row.overrides[key]}" for name, key in zip(short_names(keys), keys, strict=True))


def _text(row: ListedRun, column: str) -> str:
    value: Any = row.value(column)
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _problem(row: ListedRun) -> str:
    return (row.problem or "").partition("\n")[0]
