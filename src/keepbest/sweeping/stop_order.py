"""A word in the sweep's directory that reaches all of its processes, on whatever machine a launcher has put them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.training.interruption import STATUS_OF, Interrupted, in_main_thread
from keepbest.training.worker_process import GRACE_SECONDS

if TYPE_CHECKING:
    from types import FrameType

    from keepbest.training.worker_process import Worker

_FILE = ".stop"
_FAILURE = "failure"
_LOOKS_EVERY = 0.5  # seconds; a file system that machines share is asked as often
_SPARE_SECONDS = 10.0


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
    def obeyed_by(self, worker: Worker) -> Iterator[None]:
        """Hand a signal on to a worker as long as the block lasts."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(_LOOKS_EVERY):
                if number := self.ending:
                    worker.interrupt(number)
                    break

        thread = threading.Thread(target=look, name="keepbest stop order", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    @contextmanager
    def given_by_signals(self) -> Iterator[None]:
        """Turn SIGINT and SIGTERM into the order, so that the block, a launcher's, ends by itself.

        A second signal, or `GRACE_SECONDS` and some more, end the block where it stands.

        Raises:
            Interrupted: at the end of the block, when a signal came.
        """
        if not in_main_thread():  # only this one gets signals
            yield
            return
        received: list[signal.Signals] = []
        main_thread = threading.get_ident()

        def take(number: int, _frame: FrameType | None) -> None:
            received.append(signal.Signals(number))
            if len(received) > 1:
                raise Interrupted(received[0].name)
            self.give(received[0])
            patience.start()

        patience = threading.Timer(
            GRACE_SECONDS + _SPARE_SECONDS, lambda: signal.pthread_kill(main_thread, received[0])
        )
        patience.daemon = True
        before = {number: signal.signal(number, take) for number in STATUS_OF}
        try:
            yield
        finally:
            patience.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)
            if received:
                signal.raise_signal(received[0])  # for whoever takes the signals of the whole command
                raise Interrupted(received[0].name)
