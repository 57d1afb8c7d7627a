"""Runs and sweeps as notebooks show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.reading.facts import facts_of
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.stopping.reasons import in_words

if TYPE_CHECKING:
    import pandas as pd


def run_html(record: RunRecord, directory: Path, config: Callable[[], Mapping[str, Any]]) -> str:
    """Return what a notebook shows of a run.

    Args:
        record: of the run.
        directory: where it lies.
        config: returns its config, see `keepbest.reading.facts.facts_of`.
    """
    from keepbest.reports.notebook import facts_html

    objective = record.objective
    facts = {"status": record.status.value, "objective": f"{objective.monitor}, {objective.mode}"}
    facts |= facts_of(record, config)
    if record.error is not None:
        facts["error"] = f"{record.error.type}: {record.error.message}"
    return facts_html(f"Run {record.id}", {**facts, "path": _shown(directory)})


def sweep_html(name: str, directory: Path, table: pd.DataFrame, numbers: Sequence[int]) -> str:
    """Return what a notebook shows of a sweep.

    Args:
        name: the sweep's.
        directory: where it lies.
        table: all of its jobs.
        numbers: the jobs to show, the best first.
    """
    from keepbest.reports.notebook import facts_html, table_html

    objective = table.attrs["objective"]
    found = table["status"].value_counts(sort=False)
    facts = {"jobs": ", ".join(f"{count} {status}" for status, count in found.items()) or "none"}
    if objective:
        facts["objective"] = f"{objective['monitor']}, {objective['mode']}"
    facts |= {"fixed": ", ".join(f"{key}={value}" for key, value in table.attrs["fixed"].items()) or "nothing"}
    names = [column for column in table.columns if column != "path"]
    rows = [[str(number), *(_cell(table.at[number, column], column) for column in names)] for number in numbers]
    is_best = bool(rows) and bool(objective) and table.at[numbers[0], "status"] == RunStatus.COMPLETED.value
    more = len(table) - len(numbers)
    tail = f"<p>... and {more} more</p>" if more else ""
    head = facts_html(f"Sweep {name}", {**facts, "path": _shown(directory)})
    return head + table_html(["job", *names], rows, 0 if is_best else None) + tail


def _shown(directory: Path) -> str:
    """Return a path as a person would type it."""
    here = Path.cwd()
    return str(directory.relative_to(here) if directory.is_relative_to(here) else directory)


def _cell(value: Any, column: str) -> str:
    import pandas as pd

    if pd.isna(value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else in_words(value) if column == "reason" else str(value)
