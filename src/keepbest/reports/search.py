"""What the terminal shows of a search: its parameters before, its best trial after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from keepbest.errors import printable
from keepbest.reports.console import standard_console


@dataclass(frozen=True)
class SearchOutline:
    """What a search will do.

    Args:
        n_trials: how many trials it has in all.
        n_jobs: how many of them are asked for at a time.
        sampler: the class that asks.
        direction: `minimize` or `maximize`.
        monitor: the metric.
        parameters: what is searched, by key, in words.
    """

    n_trials: int
    n_jobs: int
    sampler: str
    direction: str
    monitor: str
    parameters: Mapping[str, str]


def show_search(sweep_dir: Path, outline: SearchOutline, console: Console | None = None) -> None:
    """Print what is searched, and how.

    Args:
        sweep_dir: as a person would write it.
        outline: of the search.
        console: where to; None: standard output.
    """
    output = console or standard_console()
    how = f"{outline.n_trials} trials, {outline.n_jobs} at a time" if outline.n_trials > 1 else "1 trial"
    lines = [f"search that {outline.direction}s {outline.monitor}: {how}, {outline.sampler}, in {sweep_dir}"]
    lines += [f"  {key}: {values}" for key, values in outline.parameters.items()]
    for line in lines:
        output.print(Text(printable(line)), soft_wrap=True)


def show_search_end(
    best: str | None, counts: Mapping[str, int], ended_early: str | None, console: Console | None = None
) -> None:
    """Print the best trial with its values, how the trials ended, and why the search ended early, if it did.

    Args:
        best: its numbers and values; None where no trial was completed.
        counts: of trials, by how they ended.
        ended_early: None where it did not.
        console: where to; None: standard output.
    """
    output = console or standard_console()
    rows = [("trials", ", ".join(f"{count} {state}" for state, count in counts.items()))]
    if best is not None:
        rows.insert(0, ("best trial", best))
    if ended_early:
        rows.append(("ended early", ended_early))
    for name, text in rows:
        output.print(Text.assemble((f"{name:<11} ", "dim"), printable(text)), soft_wrap=True)
