"""How far a training is whose record does not say it yet: it goes on, or was killed."""

from __future__ import annotations

import os
from pathlib import Path

from keepbest.errors import RecordError
from keepbest.reading.run_files import require_file
from keepbest.records.metrics_table import METRICS_FILE
from keepbest.records.run_record import RunRecord

_TAIL = 1 << 16  # bytes, more than a row has
_MOST_DIGITS = 9


def trained_epochs(directory: Path, record: RunRecord) -> int | None:
    """Return how many epochs were trained, by the record, or by the last row of `metrics.csv`.

    Args:
        directory: the run's, absolute and without links; it may be anybody's.
        record: of the run.
    """
    if record.timing.epochs_trained is not None:
        return record.timing.epochs_trained
    try:
        with require_file(directory, METRICS_FILE).open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            rows = file.read(_TAIL).split(b"\n")
    except (OSError, RecordError):
        return None
    epoch = rows[-2].partition(b",")[0] if len(rows) > 1 else b""  # what follows the last line end is not whole
    return int(epoch) + 1 if epoch.isdigit() and len(epoch) <= _MOST_DIGITS else None
