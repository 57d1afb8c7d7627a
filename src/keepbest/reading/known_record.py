"""What is known of a run's record, which its training may change at any time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from keepbest.errors import IntegrityError, RecordError
from keepbest.reading.run_files import LARGEST_RECORD, require_file
from keepbest.records.ownership import as_it_stands
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import RUN_FILE, read_record

T = TypeVar("T")
_LOOKS = 5
_PAUSE = 0.05
"""Seconds between two looks at the files of a running training: longer than a row or a name takes to be written."""


class KnownRecord:
    """A run's record as it was last read.

    Args:
        directory: the run's directory, absolute and without links.
        trust: whether a record that was edited is accepted, too.

    Attributes:
        value: the record; a run that says `running` while no process holds it is `interrupted`.
        data: the same as plain data.
    """

    def __init__(self, directory: Path, *, trust: bool) -> None:
        self._directory, self._trust = directory, trust
        self.read()

    def read(self) -> None:
        """Read the record from the disk.

        Raises:
            RecordError: when there is none, or it is none.
            IntegrityError: when it is not as it was written.
        """
        if not self._trust:
            require_file(self._directory, RUN_FILE, LARGEST_RECORD)
        self.value: RunRecord = as_it_stands(self._directory, read_record(self._directory, verify=not self._trust))
        self.data: dict[str, Any] = self.value.as_dict()

    def compared(self, look: Callable[[], T]) -> T:
        """Return what `look` returns, which compares a file with the record.

        A training records a checkpoint and then replaces it, so that the record of a moment ago speaks of another file.
        It is read anew before the look while a training goes on, and after each that found a difference: only a file
        that differs from a record that changes no more is damaged.

        Raises:
            Exception: what the last look raised.
        """
        if self._runs():
            self.read()
        for _ in range(_LOOKS - 1):
            try:
                return look()
            except (IntegrityError, RecordError):
                if not self._has_changed() and not self._runs():
                    raise
        return look()

    def _has_changed(self) -> bool:
        before = self.data
        if self._runs():
            time.sleep(_PAUSE)
        self.read()
        return self.data != before

    def _runs(self) -> bool:
        return self.value.status is RunStatus.RUNNING
