"""What a job says: everything to `train.log`, keepbest's own lines and warnings to the terminal."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

LOG_FILE = "train.log"
_NOISE = (
    "does not have many workers",  # the data sits in memory: workers would only slow it down
    "Checkpoint directory .* exists and is not empty",  # it holds the job's own files
    r"During `trainer.validate\(\)`, it is recommended to use",  # the check must see the batches that the fit saw
    r"isinstance\(treespec, LeafSpec\)",  # between Lightning and torch, nothing a user can act on
)
_FOR_PEOPLE = ("keepbest", "lightning.pytorch.keepbest", "py.warnings")  # the second: see callbacks.rank_zero
_LIGHTNING = ("lightning", "lightning.pytorch", "lightning.fabric")
"""Loggers to which Lightning gives a handler of its own when it is imported."""


@contextmanager
def job_log(job_dir: Path, *, speaks: bool) -> Iterator[None]:
    """Send the logging of the block to `train.log`, and to the terminal what a person wants to see.

    Args:
        job_dir: where the log lies; it is appended to.
        speaks: whether this process reports; the other ranks only log their errors.
    """
    root = logging.getLogger()
    file = logging.FileHandler(job_dir / LOG_FILE, encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    file.setLevel(logging.INFO if speaks else logging.ERROR)
    terminal = _Terminal()
    terminal.addFilter(
        lambda record: speaks and _is_for_people(record) and not _is_file(sys.stdout, job_dir / LOG_FILE)
    )
    level = root.level
    root.setLevel(logging.INFO)
    for handler in (file, terminal):
        root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        with _lightning_propagates(), warnings.catch_warnings():
            for message in _NOISE:
                warnings.filterwarnings("ignore", message=f".*{message}.*")
            yield
    finally:
        logging.captureWarnings(False)
        for handler in (file, terminal):
            root.removeHandler(handler)
        file.close()
        root.setLevel(level)


@contextmanager
def _lightning_propagates() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LIGHTNING]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [], True
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


def _is_file(stream: TextIO, path: Path) -> bool:
    """Return whether a stream writes to a file: a sweep sends the output of its trainings to their logs."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except (OSError, ValueError):  # a stream that is no file, or closed; no such file yet
        return False


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # not subscriptable before Python 3.11


class _Terminal(_StreamHandler):
    """Writes to whatever stdout is at the moment: a progress bar replaces it to print above itself."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stdout

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if not isinstance(sys.exc_info()[1], BrokenPipeError):  # whoever read the output has left; the job goes on
            super().handleError(record)

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "py.warnings":
            # "file:line: Category: message\n  source line": the whole of it is in the log
            return f"warning: {record.getMessage().split(': ', 2)[-1].splitlines()[0]}"
        return record.getMessage()


def _is_for_people(record: logging.LogRecord) -> bool:
    told_by = record.name.startswith(_FOR_PEOPLE) or record.levelno >= logging.ERROR
    return told_by and not record.exc_info  # tracebacks stay in the log
