"""What becomes of a sweep's trainings while a launcher runs them, wherever that is: their records say it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from keepbest.errors import KeepbestError
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import RUN_FILE, read_record
from keepbest.sweeping.looking import looking

if TYPE_CHECKING:
    from keepbest.sweeping.plan import Training

_LOOKS_EVERY = 0.3  # seconds


class Listener(Protocol):
    """Who wants to know."""

    def begin(self, trainings: Sequence[Training]) -> None:
        """Hear which trainings are going to run."""

    def hear(self, number: int, record: RunRecord) -> None:
        """Hear that the record of a training has changed, by its place among them."""

    def end(self) -> None:
        """Hear that nothing runs any more."""


@dataclass
class _Seen:
    """What was seen of one training: the state of its record's file, and the record."""

    state: tuple[int, ...] | None = None
    record: RunRecord | None = None


class TrainingWatch:
    """Reads the records of trainings over and over, and tells a listener what changes.

    Args:
        trainings: whose.
        listener: it is called from another thread, one call at a time.
    """

    def __init__(self, trainings: Sequence[Training], listener: Listener) -> None:
        self._trainings, self._listener = trainings, listener
        self._seen = [_Seen() for _ in trainings]

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Watch as long as the block lasts; what changed by its end is told as well."""
        self._listener.begin(self._trainings)
        self._look(tells=False)  # what earlier commands have left is no news
        try:
            with looking(self._look, _LOOKS_EVERY, "keepbest training watch"):
                yield
        finally:
            self._look()
            self._listener.end()

    def _look(self, *, tells: bool = True) -> bool:
        for number, seen in enumerate(self._seen):
            if self._has_changed(number, seen) and tells and seen.record:
                self._listener.hear(number, seen.record)
        return True

    def _has_changed(self, number: int, seen: _Seen) -> bool:
        if seen.record and seen.record.status is RunStatus.COMPLETED:
            return False
        directory = self._trainings[number].directory
        try:
            stat = (directory / RUN_FILE).stat()
            state = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if state == seen.state:
                return False
            seen.record, seen.state = read_record(directory), state
        except (OSError, KeepbestError):  # whoever reads the results says it
            return False
        return True
