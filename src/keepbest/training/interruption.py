"""Signals that end a command or a job, told apart from its failures."""

from __future__ import annotations

import _thread
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STATUS_OF = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit status of a command that a signal ended. What a cluster sends instead of SIGTERM counts as it."""

_SECONDS_TO_COME_AGAIN = 0.01
_CHILD_DIED: signal.Signals | None = getattr(signal, "SIGCHLD", None)  # Windows has none
_Handler = Callable[[int, FrameType | None], Any] | int | None


class Interrupted(BaseException):
    """A signal ended the training.

    It comes at any moment, also inside of code that catches every `Exception`; so it is none.

    Args:
        signal_name: SIGINT, SIGTERM or what a cluster sends instead.
    """

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name
        self.exit_status = STATUS_OF.get(signal.Signals[signal_name], STATUS_OF[signal.SIGTERM])

    def __str__(self) -> str:
        return f"the training was interrupted by {self.signal_name}."


class Interruption:
    """What SIGINT and SIGTERM do to the block of `ended_by_signals`.

    The first one raises `Interrupted` wherever the main thread stands: checkpoints and records are written such that
    this harms them no more than SIGKILL does. Later ones change nothing, for they would disturb what the first began.

    Attributes:
        received: the signal that came; None as long as there was none.
    """

    def __init__(self) -> None:
        self.received: Interrupted | None = None
        self._process = os.getpid()
        self._holders = 0
        self._was_swallowed = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if os.getpid() != self._process:
            _take_in_fork(number)
        elif self.received is None or self._was_swallowed:
            self._leave_children_alone()
            self.received = self.received or Interrupted(signal.Signals(number).name)
            self._was_swallowed = False
            if not self._holders:
                self.check()

    def check(self) -> None:
        """Raise the signal that came, if it was held back or swallowed on its way.

        Raises:
            Interrupted: when one came.
        """
        if self.received:
            raise Interrupted(self.received.signal_name)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait until the end of a block, which must be short."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
        self.check()

    def end(self) -> None:
        """Let no signal disturb what is left to do, once the block is known to end early."""
        self._holders += 1

    @contextmanager
    def part(self) -> Iterator[None]:
        """Undo at the end of a block what `end` did inside: one of several jobs has failed, and the next may come."""
        holders = self._holders
        try:
            yield
        finally:
            self._holders = holders

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take the signals until the end of a block, then leave them to whoever took them before."""
        before: dict[signal.Signals, _Handler] = {}
        report = sys.unraisablehook
        self._holders += 1  # until all is in place, and while it is put back
        try:
            sys.unraisablehook = functools.partial(self._come_again, report)
            for number in STATUS_OF:
                before[number] = signal.getsignal(number)
                signal.signal(number, self)
            self._holders -= 1
            self.check()
            yield
        finally:
            self._holders += 1
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            sys.unraisablehook = report

    def _leave_children_alone(self) -> None:
        """Let the death of a loader's worker raise no error of torch's, which may come wherever the main thread stands.

        Workers get the signals of the process group too. A loader that is used later in this process, for another job,
        learns of such a death by asking, as torch does every few seconds.
        """
        if _CHILD_DIED:
            signal.signal(_CHILD_DIED, signal.SIG_DFL)

    def _come_again(self, report: Callable[[Any], Any], lost: Any) -> None:
        """Send the signal once more where it came in a `__del__` or the like, of which Python drops what they raise.

        What else such code raises once a signal came is not reported: a loader misses its workers, and so on.
        """
        if self.received is None:
            report(lost)
        elif isinstance(lost.exc_value, Interrupted):
            # not a Thread: its start waits, where the loss of a loader's worker may raise torch's error
            _thread.start_new_thread(_send_soon, (signal.Signals[lost.exc_value.signal_name],))
            self._was_swallowed = True


class _Active:
    """The block that takes the signals: they belong to the process, so there is one."""

    interruption: Interruption | None = None


@contextmanager
def ended_by_signals() -> Iterator[Interruption]:
    """Let SIGINT and SIGTERM end the block with an `Interrupted`, in the main thread; others get no signals.

    A block inside of another is part of it: there is one first signal for both.
    """
    if not in_main_thread():
        yield Interruption()
    elif outer := _Active.interruption:
        with outer.part():
            yield outer
    else:
        interruption = _Active.interruption = Interruption()
        try:
            with interruption.installed(), interruption.part():
                yield interruption
        finally:
            _Active.interruption = None


@contextmanager
def signals_held() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until the end of a block, which must be short."""
    if _Active.interruption and in_main_thread():
        with _Active.interruption.held():
            yield
    else:
        yield


def as_interruption(error: BaseException) -> Interrupted | None:
    """Return the interruption behind an exception, None when there is none.

    Whatever ends a job after a signal came is taken for its consequence: on the way through C++ it may become another.
    """
    if isinstance(error, Interrupted):
        return error
    if _Active.interruption and _Active.interruption.received:
        return Interrupted(_Active.interruption.received.signal_name)
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        return Interrupted("SIGINT")  # Lightning turns it into a SystemExit
    return None


def in_main_thread() -> bool:
    """Return whether this is the thread that Python hands signals to, and the only one that may take them."""
    return threading.current_thread() is threading.main_thread()


def _send_soon(number: signal.Signals) -> None:
    """Send a signal to the main thread when that has left where it stands."""
    time.sleep(_SECONDS_TO_COME_AGAIN)
    signal.pthread_kill(threading.main_thread().ident or 0, number)


def _take_in_fork(number: int) -> None:
    """Take a signal in a process that was forked from ours, which gets those of the terminal too.

    A loader's worker ends without a word, also while it is being started. A process of the user's own, made with
    multiprocessing and no daemon, takes the signal as if we were not there.
    """
    from multiprocessing import current_process, parent_process

    if parent_process() is None or current_process().daemon:
        os._exit(STATUS_OF[signal.Signals(number)])
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.raise_signal(number)
