"""What the page of a sweep says."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keepbest.errors import KeepbestError
from keepbest.reading.opening import opening_line
from keepbest.reading.sweep import Sweep
from keepbest.reading.sweep_contents import SweepContents, contents_of
from keepbest.reading.wording import counted
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.sweep_record import SweepRecord
from keepbest.reports.job_rows import Table, job_table, means_table
from keepbest.reports.page_parts import Attempts, Section, Tile
from keepbest.reports.run_page import environment_of
from keepbest.reports.sweep_pictures import curves_of, heatmaps_of, policies_of
from keepbest.stopping.reasons import in_words

if TYPE_CHECKING:
    import pandas as pd

_MOST_FAILURES = 20
_LONGEST_MESSAGE = 2000
_WELL = [status.value for status in (RunStatus.COMPLETED, RunStatus.RUNNING, RunStatus.PENDING)]


class Failure(NamedTuple):
    """What ended jobs: a status and a message, the jobs, and the traceback of the first of them."""

    status: str
    message: str
    jobs: list[int]
    traceback: str


def sweep_page(sweep: Sweep, shown: Path, page: Path) -> dict[str, Any]:
    """Return what the template `sweep.html.j2` shows.

    Args:
        sweep: an opened sweep.
        shown: its directory as a person would write it.
        page: the file that links to those of the jobs.
    """
    attempted = Attempts(sweep.directory, shown)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # records that cannot be read are among the failures
        record, table = SweepRecord.from_dict(sweep.record), sweep.table(best_first=True)
        best = attempted(sweep.best, "the best job")
        number = None if best.content is None else int(table.index[0])
        return {
            "id": record.id,
            "statuses": {str(name): int(count) for name, count in table["status"].value_counts().items()},
            "objective": table.attrs["objective"],
            "tiles": _tiles(contents_of(sweep.directory), table, number),
            "best": _best(attempted, best, sweep, table, number, shown),
            "fixed": {key: str(value) for key, value in table.attrs["fixed"].items()},
            "jobs": job_table(table, number, page),
            "means": _means(attempted, sweep, table),
            "heatmaps": heatmaps_of(attempted, sweep, table),
            "curves": attempted(lambda: curves_of(sweep), "the curves"),
            "policies": attempted(lambda: policies_of(attempted, sweep, table), "the policies"),
            "failures": _failures(attempted, sweep, table),
            "environment": environment_of(record.environment)
            | {"command": f"keepbest train {shlex.join(record.arguments)}"},
        }


def _tiles(contents: SweepContents, table: pd.DataFrame, best: int | None) -> list[Tile]:
    tiles = []
    if best is not None:
        score = table["score"].loc[best]
        tiles.append(Tile(f"best {table.attrs['objective']['monitor']}", f"{float(score):.6g}", f"job {best}"))
    tiles.append(Tile("jobs", str(len(table)), _trainings(contents, table)))
    alone, trained = int(table["epochs_trained"].sum()), contents.trained_epochs()
    note = f"{alone:,} if each job trained alone" if alone > trained else ""
    tiles.append(Tile("epochs trained", f"{trained:,}", note))
    if 0 < trained < alone:
        tiles.append(Tile("saved by sharing", f"{1 - trained / alone:.0%}", f"{alone - trained:,} epochs"))
    return tiles


def _trainings(contents: SweepContents, table: pd.DataFrame) -> str:
    """Return how many trainings there are, and how many have no score."""
    scored = set(table.index[table["score"].notna()])
    without = sum(scored.isdisjoint(numbers) for numbers in contents.trainings.values())
    text = counted(len(contents.trainings), "training")
    return f"{text}, {without} without a score" if without else text


def _best(
    attempted: Attempts, best: Section, sweep: Sweep, table: pd.DataFrame, number: int | None, shown: Path
) -> Section:
    """Return the best job's overrides, and the line that opens its model."""
    if best.content is None or number is None:
        return best
    run = best.content
    names = [name for name in table.attrs["keys"] if table[name].notna()[number]]
    where = shown / run.directory.relative_to(sweep.directory)
    line = attempted(lambda: f"model = {opening_line(where, run.config)}.load_model()", "the config of the best job")
    return Section({
        "number": number,
        "overrides": {table.attrs["keys"][name]: str(table.at[number, name]) for name in names},
        "opening": line,
    })  # fmt: skip


def _means(attempted: Attempts, sweep: Sweep, table: pd.DataFrame) -> Section | None:
    """Return means over the seeds; None where these do not vary, and where no job has completed."""
    keys: Mapping[str, str] = table.attrs["keys"]
    seed = next((name for name, key in keys.items() if key == "seed"), None)
    if seed is None:
        return None

    def make() -> Table | None:
        means = sweep.table(aggregate=seed, best_first=True)
        return means_table(means) if means["count"].any() else None

    found = attempted(make, "the means")
    return None if found.content is None and not found.reason else found


def _failures(attempted: Attempts, sweep: Sweep, table: pd.DataFrame) -> dict[str, Any]:
    """Return what ended jobs before their result, jobs of the same message together; others may still have theirs."""
    found: dict[tuple[str, str], Failure] = {}
    for number in table.index[~table["status"].isin(_WELL)]:
        status = str(table.at[number, "status"])
        message, traceback = _what_ended(attempted, sweep, int(number))
        known = found.setdefault((status, message), Failure(status, message, [], traceback))
        known.jobs.append(int(number))
    groups = list(found.values())
    return {"groups": groups[:_MOST_FAILURES], "more": len(groups) - len(groups[:_MOST_FAILURES])}


def _what_ended(attempted: Attempts, sweep: Sweep, number: int) -> tuple[str, str]:
    """Return a message, and a traceback where there is one."""
    try:
        record = RunRecord.from_dict(sweep.runs[number].record)
    except KeepbestError as error:
        return attempted.worded(error), ""
    if record.error is not None:
        failure = record.error
        return f"{failure.type}: {failure.message}".strip()[:_LONGEST_MESSAGE], failure.traceback
    stopping = record.stopping
    message = (stopping.message or in_words(stopping.reason or "")) if stopping else None
    return (message or "it has no result yet")[:_LONGEST_MESSAGE], ""
