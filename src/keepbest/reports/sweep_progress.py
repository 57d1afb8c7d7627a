"""What the terminal shows while a sweep runs: a line for each training that ends and, below, how far the others are."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from keepbest.errors import printable
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.reports.console import standard_console

_ROWS = 8  # trainings that are shown as they run; more of them leave no room for what was printed before
_ENDED = frozenset({RunStatus.COMPLETED, RunStatus.DIVERGED, RunStatus.FAILED, RunStatus.INTERRUPTED})


@dataclass(frozen=True)
class TrainingToShow:
    """One training.

    Args:
        name: whose it is, such as `job 3`.
        log: where its tracebacks are, as a person would write it.
        most_epochs: how long it can last at the most; None without such a limit.
    """

    name: str
    log: Path
    most_epochs: int | None


class SweepProgress:
    """Shows trainings as they run. On a terminal there is a bar for the sweep, and one for each running training.

    Args:
        trainings: all of them.
        console: where to; None: standard output.
    """

    def __init__(self, trainings: Sequence[TrainingToShow], console: Console | None = None) -> None:
        self._trainings = trainings
        self._console = console or standard_console()
        self._statuses = [RunStatus.PENDING] * len(trainings)
        self._began: dict[int, float] = {}
        self._took: list[float] = []
        self._rows: dict[int, TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[more]}"),
            TimeElapsedColumn(), console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._whole = self._bars.add_task("trainings", total=len(trainings), more="")

    def start(self) -> None:
        """Show that all of them are still to come."""
        self._bars.start()

    def update(self, number: int, record: RunRecord) -> None:
        """Show how far a training is.

        Args:
            number: its place among the trainings.
            record: as it stands.
        """
        before, self._statuses[number] = self._statuses[number], record.status
        if record.status is RunStatus.RUNNING:
            self._began.setdefault(number, time.monotonic())
            self._show_row(number, record)
        elif record.status in _ENDED and before is not record.status:
            self._hide_row(number)
            self._tell(number, record)
        ended = sum(status in _ENDED for status in self._statuses)
        self._bars.update(self._whole, completed=ended, more=self._state(len(self._statuses) - ended))

    def stop(self) -> None:
        """Remove the bars; the lines stay."""
        self._bars.stop()

    def _tell(self, number: int, record: RunRecord) -> None:
        now = time.monotonic()
        seconds = now - self._began.pop(number, now)
        self._took.append(seconds)
        where = f"training {number + 1} of {len(self._trainings)}, {self._trainings[number].name}"
        self._console.print(Text(f"{where}: {record.status.value} in {seconds:.1f} s"), soft_wrap=True)
        if record.status is RunStatus.FAILED and record.error:
            text = f"keepbest: {self._trainings[number].name}: {record.error.type}: {printable(record.error.message)}"
            more = f"\nThe traceback is in {self._trainings[number].log}." if record.error.traceback else ""
            if self._bars.disable:
                sys.stderr.write(f"{text}{more}\n")
                sys.stderr.flush()
            else:
                self._console.print(Text(f"{text}{more}", style="red"), soft_wrap=True)

    def _state(self, left: int) -> str:
        """Return how many run, how many failed, and about how long the rest will take."""
        running = self._statuses.count(RunStatus.RUNNING)
        parts = [f"{running} running"]
        if failed := self._statuses.count(RunStatus.FAILED):
            parts.append(f"{failed} failed")
        if self._took and left:
            seconds = sum(self._took) / len(self._took) * left / max(running, 1)
            parts.append(f"about {_duration(seconds)} left")
        return ", ".join(parts)

    def _show_row(self, number: int, record: RunRecord) -> None:
        if number not in self._rows:
            if len(self._rows) >= _ROWS:
                return
            training = self._trainings[number]
            name = f"  {training.name}"
            self._rows[number] = self._bars.add_task(name, total=training.most_epochs, more="epochs")
        epochs = record.last.epoch + 1 if record.last and record.last.epoch is not None else 0
        score = record.best_model_score
        more = "epochs" if score is None else f"epochs, {record.objective.monitor} {score:.6g} at best"
        self._bars.update(self._rows[number], completed=epochs, more=more)

    def _hide_row(self, number: int) -> None:
        if (row := self._rows.pop(number, None)) is not None:
            self._bars.remove_task(row)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
