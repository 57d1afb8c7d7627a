"""What the terminal shows of a run: the config before, the result after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from keepbest.errors import printable
from keepbest.reading.facts import facts_of
from keepbest.reading.opening import opening_line
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.reports.console import standard_console

_STYLE = {RunStatus.COMPLETED: "bold green", RunStatus.DIVERGED: "bold red", RunStatus.FAILED: "bold red"}


def show_config(config: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a resolved config as a tree."""
    tree = Tree("config", guide_style="dim")
    _grow(tree, config)
    _console(console).print(tree)


def show_result(run_dir: Path, record: RunRecord, console: Console | None = None) -> None:
    """Print how a run ended: the stop, the best checkpoint, its verification, the tests, and how to open it."""
    output = _console(console)
    output.print()
    status = Text(record.status.value, style=_STYLE.get(record.status, "bold yellow"))
    rows = [(name, Text(_indented(printable(text)))) for name, text in _rows(run_dir, record)]
    for name, value in [("status", status), *rows]:
        # never wrapped: the last lines are there to be copied
        output.print(Text.assemble((f"{name:<12}", "dim"), value), soft_wrap=True)


def _indented(text: str) -> str:
    return text.replace("\n", f"\n{'':<12}")


def _rows(run_dir: Path, record: RunRecord) -> list[tuple[str, str]]:
    rows = list(facts_of(record).items())
    if record.best_model_path:
        rows.append(("checkpoint", str(run_dir / record.best_model_path)))
        rows.append(("open it", f"model = {opening_line(run_dir)}.load_model()"))
    else:
        rows.append(("run", str(run_dir)))
    return rows


def _grow(tree: Tree, node: Any) -> None:
    items = node.items() if isinstance(node, Mapping) else ((str(i), item) for i, item in enumerate(node))
    for name, value in items:
        if isinstance(value, Mapping) and value:
            _grow(tree.add(Text(name, style="bold")), value)
        else:
            tree.add(Text.assemble((f"{name}: ", "cyan"), _scalar(value)))


def _scalar(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _console(console: Console | None) -> Console:
    return console or standard_console()
