"""What `keepbest show` says of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from keepbest.errors import KeepbestError, printable
from keepbest.reading.changed_settings import changed_settings
from keepbest.reading.differences import ABSENT
from keepbest.reading.facts import facts_of
from keepbest.reading.listed_run import start_of
from keepbest.reading.opening import opening_expression
from keepbest.reading.run import Run
from keepbest.reading.wording import counted, pasted
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.reports.console import standard_console
from keepbest.reports.curve import best_place
from keepbest.reports.fitted_table import one_line, shortened
from keepbest.reports.sparkline import glyphs_for, plot

_STYLE = {RunStatus.COMPLETED: "bold green", RunStatus.DIVERGED: "bold red", RunStatus.FAILED: "bold red"}
_LONGEST_VALUE, _LONGEST_ERROR, _MOST_SETTINGS = 60, 1000, 40


def show_run(run: Run, shown: Path, console: Console | None = None, *, traceback: bool = False) -> None:
    """Print a run: how it ended, its curve, what its config changes, what it ran on, and how to open it.

    Args:
        run: to show.
        shown: its directory, as a person would write it.
        console: where to; None: standard output.
        traceback: whether that of an error is printed whole.
    """
    output = console or standard_console()
    record = RunRecord.from_dict(run.record)
    print_facts(output, {"run": record.id})
    _line(output, "status", Text(record.status.value, style=_STYLE.get(record.status, "bold yellow")))
    print_facts(
        output,
        {"objective": f"{record.objective.monitor}, {record.objective.mode}", **facts_of(record, lambda: run.config)},
    )
    if record.error is not None:
        _show_error(output, record, traceback=traceback)
    output.print()
    _show_curve(output, run, record)
    _show_changes(output, run)
    print_facts(output, _environment(record))
    if record.best_model_path:
        print_facts(output, {"checkpoint": str(shown / record.best_model_path)})
    print_facts(output, {"directory": str(shown), "open it": f"run = {_opening(run, shown)}"})


def _opening(run: Run, shown: Path) -> str:
    """Return the expression that opens a run, without its modules where its config cannot be read."""
    try:
        return opening_expression(shown, config=run.config)
    except KeepbestError:
        return opening_expression(shown)


def print_facts(output: Console, facts: Mapping[str, str]) -> None:
    """Print names and values, never wrapped, for some are there to be copied; what follows a line end is indented."""
    for name, text in facts.items():
        _line(output, name, Text(f"\n{'':<12}".join(map(one_line, text.split("\n")))))


def _line(output: Console, name: str, text: Text) -> None:
    output.print(Text.assemble((f"{name:<12}", "dim"), text), soft_wrap=True)


def _show_error(output: Console, record: RunRecord, *, traceback: bool) -> None:
    if record.error is None:
        return
    message = printable(f"{record.error.type}: {record.error.message.strip()}")
    if not traceback and len(message) > _LONGEST_ERROR:
        message = f"{message[:_LONGEST_ERROR]}..."
    _line(output, "error", Text(message.replace("\n", f"\n{'':<12}"), style="red"))
    if record.error.traceback and traceback:
        output.print(Text(printable(record.error.traceback.rstrip())), soft_wrap=True)
    elif record.error.traceback:
        _line(output, "", Text("--traceback prints where", style="dim"))


def _show_curve(output: Console, run: Run, record: RunRecord) -> None:
    if record.stopping is None and record.best_model_score is None:
        return
    try:
        checks = run.checks()
    except KeepbestError as error:
        print_facts(output, {"curve": f"none: {error}"})
        return
    stopped = record.stopping.stopped_epoch if record.stopping else None
    best = best_place(checks, record)
    stop = max((place for place, check in enumerate(checks) if check.epoch == stopped), default=None)
    glyphs = glyphs_for(output.encoding)
    lines = plot([check.value for check in checks], min(output.width, 112), glyphs, best=best, stop=stop)
    for line in lines:
        output.print(Text(line), soft_wrap=True)
    if lines:
        legend = [f"{len(checks)} checks of {record.objective.monitor}, epochs {checks[0].epoch} to {checks[-1].epoch}"]
        legend += [f"{glyphs.best} best in epoch {record.best_epoch}"] if best is not None else []
        legend += [f"{glyphs.stop} stop in epoch {stopped}"] if stop is not None else []
        if odd := sum(not math.isfinite(check.value) for check in checks):
            legend.append(f"{odd} not finite")
        output.print(Text(f"{'':<12}{one_line('   '.join(legend))}", style="dim"), soft_wrap=True)
        output.print()


def _show_changes(output: Console, run: Run) -> None:
    try:
        changed = changed_settings(run.config, run.directory)
    except KeepbestError as error:
        print_facts(output, {"config": f"not compared with the defaults: {error}"})
        return
    if not changed.choices and not changed.settings:
        print_facts(output, {"config": "the defaults of this machine"})
        return
    print_facts(output, {"config": "in place of the defaults of this machine"})
    settings = sorted(changed.settings.items(), key=lambda item: item[1][0] is ABSENT)  # what is not there comes last
    lines = [*changed.choices, *(_setting(key, *values) for key, values in settings)]
    for line in lines[:_MOST_SETTINGS]:
        output.print(Text(f"  {line}"), soft_wrap=True)
    if len(lines) > _MOST_SETTINGS:
        output.print(f"  ... and {len(lines) - _MOST_SETTINGS} more", style="dim")


def _setting(key: str, value: Any, default: Any) -> str:
    key = one_line(key)
    if value is ABSENT:
        return f"{key} is not there (default {yaml_like(default)})"
    return f"{key}={yaml_like(value)}" + (
        " (not in the defaults)" if default is ABSENT else f" (default {yaml_like(default)})"
    )


def yaml_like(value: Any) -> str:
    """Return a value of a config as a person would write it, cut where nobody would read on."""
    if value is ABSENT:
        return ""
    if isinstance(value, list):
        text = f"[{', '.join(map(yaml_like, value[:20]))}{', ...' if len(value) > 20 else ''}]"
    elif isinstance(value, Mapping):
        text = "{}" if not value else "{...}"
    else:
        text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return shortened(one_line(text), _LONGEST_VALUE)


def _environment(record: RunRecord) -> dict[str, str]:
    environment = record.environment
    start = start_of(record)
    began = f"{start.astimezone():%Y-%m-%d %H:%M:%S}, " if start else ""
    threads = "" if environment.threads is None else f", {counted(environment.threads, 'thread')}"
    facts = {"ran": f"{began}on {environment.host} in {environment.cwd}{threads}"}
    if environment.argv:
        facts["command"] = pasted(environment.argv)
    if environment.git_sha:
        facts["git"] = environment.git_sha + (", with changes that were not committed" if environment.git_dirty else "")
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    return facts
