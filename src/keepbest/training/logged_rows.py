"""The rows of Lightning's CSVLogger, when a run goes on."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from keepbest.records.atomic import write_text

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


def keep_logged_rows(trainer: Trainer, *, goes_on: bool) -> None:
    """Let the CSV files of a trainer's loggers hold what was logged up to where the training goes on.

    Lightning's writer removes a file that is there, and keeps up to 100 steps in memory: without this, a run that goes
    on has lost all rows of the attempts before it.

    Args:
        trainer: one that has not begun.
        goes_on: whether it goes on from a checkpoint; otherwise the file of an earlier attempt is left to Lightning.
    """
    loggers = [logger for logger in trainer.loggers if isinstance(logger, CSVLogger)]
    for logger in loggers if goes_on else ():
        _take_up(logger)
    if loggers:
        trainer.callbacks.append(LoggedRows(loggers))  # type: ignore[attr-defined]  # set by a connector


class LoggedRows(Callback):
    """Flushes the rows with each checkpoint, and drops those of steps that are about to be taken once more.

    Args:
        loggers: what writes them.
    """

    def __init__(self, loggers: list[CSVLogger]) -> None:
        self._loggers = loggers
        self._is_cut = False

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Drop the rows of this step and those after it, before the first batch."""
        if not self._is_cut and trainer.is_global_zero:
            for logger in self._loggers:
                _cut(_path_of(logger), trainer.fit_loop.epoch_loop._batches_that_stepped)
        self._is_cut = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Write what was logged before this checkpoint."""
        self._save()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what the epoch before has logged at its very end, after its checkpoint."""
        self._save()

    def _save(self) -> None:
        for logger in self._loggers:
            logger.save()


def _path_of(logger: CSVLogger) -> Path:
    return Path(logger.log_dir) / "metrics.csv"


def _take_up(logger: CSVLogger) -> None:
    """Make a logger's writer beside a file that is there, such that it goes on with it."""
    path = _path_of(logger)
    aside = path.with_name(".metrics.csv.kept")
    if path.is_file():
        path.replace(aside)
    if not aside.is_file():  # left there by a crash
        return
    with aside.open(newline="", encoding="utf-8") as file:
        columns = next(csv.reader(file), [])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*exists and is not empty")
        writer = logger.experiment  # removes metrics.csv
    aside.replace(path)
    writer.metrics_keys = columns


def _cut(path: Path, step: int) -> None:
    """Remove the rows of a step and those after it, and a row that a kill cut short."""
    if not path.is_file() or not path.stat().st_size:
        return
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = csv.DictReader(io.StringIO(whole, newline=""))
    kept = io.StringIO(newline="")
    writer = csv.DictWriter(kept, rows.fieldnames or [], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(row for row in rows if (row["step"] or "").isdigit() and int(row["step"]) < step)
    if kept.getvalue() != text:
        write_text(path, kept.getvalue())
