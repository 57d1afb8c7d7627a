"""What the terminal shows of runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from keepbest.reading.comparison import Comparison
from keepbest.reading.differences import ABSENT
from keepbest.reading.overrides import short_names
from keepbest.reports.console import standard_console
from keepbest.reports.fitted_table import Column, one_line, shortened, show_left_out, show_table, terminal_width
from keepbest.reports.run_view import yaml_like
from keepbest.stopping.reasons import in_words

_MOST_BESIDE = 4
_LONGEST = 40  # characters of a value
_LONGEST_PROBLEM = 200
_HASH = 12  # characters of a hash that tell weights apart
_HEADS = {"best_sha256": "weights"}
_RANKS = {"status": 1, "score": 1, "best_epoch": 4, "stopped_epoch": 4, "epochs_trained": 4, "reason": 5, "monitor": 3,
          "mode": 6, "seconds": 7, "verified": 7, "weights": 8}  # fmt: skip
_LAST = 9  # rank
_Rows = dict[str, list[str]]


def show_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print runs side by side: a column for each where there is room, if need be with short names, else a row for each.

    Args:
        comparison: of the runs.
        console: where to; None: standard output.
    """
    output = console or standard_console()
    labels = _labels(len(comparison.runs))
    results, settings = _results(comparison), _settings(comparison)
    for label, run in zip(labels, comparison.runs, strict=True):
        output.print(Text.assemble((f"{label}  ", "bold"), one_line(run.name)), soft_wrap=True)
    output.print()
    names = short_names(list(settings), taken=results)
    tables = [_beside(labels, results, dict(zip(keys, settings.values(), strict=True))) for keys in (settings, names)]
    fitting = (columns for columns in tables if _width(columns) <= terminal_width(output))
    if len(labels) <= _MOST_BESIDE and (columns := next(fitting, None)):
        show_table(columns, output)
    else:
        _show_rows(labels, results, settings, output)
    output.print()
    for line in _remarks(comparison, labels, bool(settings)):
        output.print(Text(line), soft_wrap=True)


def _beside(labels: Sequence[str], results: _Rows, settings: _Rows) -> list[Column]:
    rows = {**results, "": [""] * len(labels), **settings} if settings else results
    cells = [[values[place] for values in rows.values()] for place in range(len(labels))]
    return [Column("", list(rows)), *(Column(*pair, longest=_LONGEST) for pair in zip(labels, cells, strict=True))]


def _show_rows(labels: Sequence[str], results: _Rows, settings: _Rows, output: Console) -> None:
    names = short_names(list(settings), taken=results)
    columns = [Column("", labels)]
    columns += [
        Column(name, values, _RANKS.get(name, 3)) for name, values in results.items()
    ]  # tests have no fixed name
    columns += [
        Column(name, values, _LAST if key.partition(".")[0] == "objective" else 2, longest=_LONGEST)
        for name, (key, values) in zip(names, settings.items(), strict=True)
    ]
    left_out = show_table(columns, output)
    show_left_out(left_out, output, "a pipe and --csv have all")


def _results(comparison: Comparison) -> _Rows:
    results = {_HEADS.get(name, name): values for name, values in comparison.results.items()}
    if len(comparison.objectives) == 1:
        del results["monitor"], results["mode"]
    best = results.pop("best")
    results["weights"] = [None if sha is None else sha[:_HASH] for sha in results["weights"]]
    shown = {name: [_shown(value) for value in values] for name, values in results.items()}
    shown["reason"] = [in_words(text) for text in shown["reason"]]
    shown["score"] = [f"{text} *" if is_best else text for text, is_best in zip(shown["score"], best, strict=True)]
    tests = {name: [_shown(value) for value in values] for name, values in comparison.tests.items()}
    found = {**shown, **{name if name not in shown else f"test {name}": values for name, values in tests.items()}}
    return {one_line(name): values for name, values in found.items() if any(values)}


def _settings(comparison: Comparison) -> _Rows:
    return {
        one_line(key): ["-" if value is ABSENT else yaml_like(value) for value in values]
        for key, values in comparison.settings.items()
    }


def _remarks(comparison: Comparison, labels: Sequence[str], has_settings: bool) -> list[str]:
    lines = []
    if any(comparison.best):
        lines.append("*  the best score")
    if len(comparison.objectives) > 1:
        lines[:] = ["*  the best score of an objective"] if lines else []
        shown = ", ".join(f"{objective.monitor} ({objective.mode})" for objective in comparison.objectives)
        lines.append(one_line(f"scores of different objectives are not compared: {shown}"))
    for places in comparison.alike:
        lines.append(f"{', '.join(labels[place] for place in places)} have the same weights, bit for bit")
    for label, run in zip(labels, comparison.runs, strict=True):
        if error := run.record.error:
            text = f"{run.record.status.value}: {error.type}: {error.message.strip().partition(chr(10))[0]}"
            lines.append(f"{label}  {shortened(one_line(text), _LONGEST_PROBLEM)}")
        if run.problem:
            lines.append(f"{label}: config not compared: {shortened(one_line(run.problem), _LONGEST_PROBLEM)}")
    if not has_settings:
        lines.append("the configs do not differ")
    return lines


def _width(columns: Sequence[Column]) -> int:
    widths = [max(map(cell_len, (column.head, *column.cells))) for column in columns]
    return sum(min(width, column.longest or width) + 2 for width, column in zip(widths, columns, strict=True)) - 2


def _labels(count: int) -> list[str]:
    """Return a letter for each run, and numbers where letters do not suffice."""
    return (
        list(ascii_uppercase[:count]) if count <= len(ascii_uppercase) else [str(place + 1) for place in range(count)]
    )


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else one_line(str(value))
