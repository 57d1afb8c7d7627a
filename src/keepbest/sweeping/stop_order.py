"""A word in the sweep's directory that reaches all of its processes, on whatever machine a launcher has put them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.sweeping.looking import looking
from keepbest.training.interruption import STATUS_OF, Interrupted, in_main_thread
from keepbest.training.worker_process import GRACE_SECONDS

if TYPE_CHECKING:
    from types import FrameType

    from keepbest.training.worker_process import Worker

_FILE = ".stop"
_FAILURE = "failure"
_LOOKS_EVERY = 0.5  # seconds; a file system that machines share is asked as often
_SPARE_SECONDS = 10.0
_IDLE_SECONDS = 5.0  # between the end of the last training and that of its launcher


class _EndOfLaunch(Interrupted, KeyboardInterrupt):
    """Ends a launcher where it stands. Ray's waiting, which is native code, passes on nothing but KeyboardInterrupt."""


class StopOrder:
    """Says that nothing more is to be started in a sweep, and where a signal came, that what runs is to end.

    Args:
        sweep_dir: the sweep's directory.
    """

    def __init__(self, sweep_dir: Path) -> None:
        self._path = sweep_dir / _FILE

    @property
    def is_given(self) -> bool:
        """Whether nothing more is to be started."""
        return self._path.exists()

    @property
    def ending(self) -> signal.Signals | None:
        """The signal that ends what runs; None while there is none."""
        try:
            word = self._path.read_text(encoding="utf-8")
        except OSError:
            return None
        return signal.Signals[word] if word in signal.Signals.__members__ else None

    def give(self, number: signal.Signals | None = None) -> None:
        """Give the order: because of a signal, or of a job that failed, which adds nothing to an order."""
        if number or not self.is_given:
            self._path.write_text(number.name if number else _FAILURE, encoding="utf-8")

    def withdraw(self) -> None:
        """Withdraw what an earlier command may have left."""
        self._path.unlink(missing_ok=True)

    @contextmanager
    def of_this_command(self) -> Iterator[None]:
        """Let no order of an earlier command reach the block, nor, unless it ends early, one of the block a later one.

        After an early end something may still run that has not seen the order.
        """
        self.withdraw()
        yield
        self.withdraw()

    @contextmanager
    def obeyed_by(self, worker: Worker) -> Iterator[None]:
        """Hand a signal on to a worker as long as the block lasts."""
        with self._heard(worker.interrupt):
            yield

    @contextmanager
    def obeyed(self) -> Iterator[None]:
        """Hand a signal on to the main thread of this process, whose parents may have died, until the block ends."""
        main_thread = threading.main_thread().ident or 0
        with self._heard(lambda number: signal.pthread_kill(main_thread, number)):
            yield

    @contextmanager
    def _heard(self, tell: Callable[[signal.Signals], None]) -> Iterator[None]:
        def look() -> bool:
            number = self.ending
            if number:
                tell(number)
            return number is None

        with looking(look, _LOOKS_EVERY, "keepbest stop order"):
            yield

    @contextmanager
    def given_by_signals(self, runs: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Turn SIGINT and SIGTERM into the order, so that the block, a launcher's, ends by itself.

        A second signal, or `GRACE_SECONDS` and some more, end the block where it stands. So do some seconds in which
        nothing runs: a launcher may wait for what will never have a place.

        Args:
            runs: whether a training runs; it is called from another thread.

        Raises:
            Interrupted: at the end of the block, when a signal came.
        """
        if not in_main_thread():  # only this one gets signals
            yield
            return
        received: list[signal.Signals] = []
        main_thread, done = threading.get_ident(), threading.Event()

        def take(number: int, _frame: FrameType | None) -> None:
            received.append(signal.Signals(number))
            if len(received) > 1:
                raise _EndOfLaunch(received[0].name)
            self.give(received[0])
            patience.start()

        def wait() -> None:
            if not _is_over(done, runs):
                signal.pthread_kill(main_thread, received[0])

        patience = threading.Thread(target=wait, name="keepbest patience", daemon=True)
        before = {number: signal.signal(number, take) for number in STATUS_OF}
        try:
            yield
        finally:
            done.set()
            for number, handler in before.items():
                signal.signal(number, handler)
            if received:
                signal.raise_signal(received[0])  # for whoever takes the signals of the whole command
                raise Interrupted(received[0].name)


def _is_over(done: threading.Event, runs: Callable[[], bool]) -> bool:
    """Return whether something is done before the time is over that it has for it."""
    began = last_run = time.monotonic()
    while not done.wait(_LOOKS_EVERY):
        now = time.monotonic()
        last_run = now if runs() else last_run
        if now - last_run > _IDLE_SECONDS or now - began > GRACE_SECONDS + _SPARE_SECONDS:
            return done.is_set()
    return True
