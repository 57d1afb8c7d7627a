"""Signals that end a training, told apart from its failures."""

from __future__ import annotations

from keepbest.errors import KeepbestError

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
