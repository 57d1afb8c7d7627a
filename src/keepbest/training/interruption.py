"""Signals that end a training, told apart from its failures."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from keepbest.errors import KeepbestError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

_EXIT_STATUS = {"SIGINT": 130, "SIGTERM": 143}
INTERRUPTED = frozenset(_EXIT_STATUS.values())
"""Exit statuses that mean an interruption."""


class Interrupted(KeepbestError):
    """A signal ended the training.

    Args:
        signal_name: SIGINT or SIGTERM.
    """

    def __init__(self, signal_name: str) -> None:
        self.signal_name = signal_name
        self.exit_status = _EXIT_STATUS[signal_name]
        super().__init__(f"the training was interrupted by {signal_name}.")


def as_interruption(error: BaseException) -> Interrupted | None:
    """Return the interruption behind an exception, None when there is none.

    Lightning turns Ctrl-C into `SystemExit(1)` and SIGTERM into a `SystemExit` of its own.
    """
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    if isinstance(error, Interrupted):
        return error
    if isinstance(error, SIGTERMException):
        return Interrupted("SIGTERM")
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        return Interrupted("SIGINT")
    return None


class Termination:
    """What SIGTERM does to a job.

    While Lightning fits, it notes the signal itself, and ends the fit at the end of a batch: an exception raised
    anywhere could hit a checkpoint that is being written. At any other moment the job ends at once.

    Attributes:
        trainer: the job's trainer, once there is one.
    """

    def __init__(self) -> None:
        self.trainer: Trainer | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take the signal."""
        if self.trainer and self.trainer.state.fn == "fit" and self.trainer.received_sigterm:
            return
        raise Interrupted("SIGTERM")


@contextmanager
def ended_by_sigterm() -> Iterator[Termination]:
    """Let SIGTERM end the block with an `Interrupted`, in the main thread; others get no signals."""
    termination = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield termination
        return
    before = signal.signal(signal.SIGTERM, termination)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, before)
