"""The files of a run, each compared with what the record says of it before it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from keepbest.errors import RecordError
from keepbest.reading.run_files import (
    IF_TRUSTED,
    LARGEST_CONFIG,
    LARGEST_TABLE,
    require_file,
    require_modest_table,
)
from keepbest.records.metrics_table import METRICS_FILE
from keepbest.records.store import RUN_FILE

if TYPE_CHECKING:
    from keepbest.composition.resolved import PlainConfig
    from keepbest.reading.known_record import KnownRecord


class ComparedFiles:
    """Finds and reads the files of a run: what they are and how large first, then their hashes.

    Each method compares with the record as it was last read; `KnownRecord.compared` reads it anew where a training may
    have changed both since.

    Args:
        directory: the run's, absolute and without links.
        known: its record.
        trust: whether paths may lead out of the directory, and config and metrics may have been edited.
    """

    def __init__(self, directory: Path, known: KnownRecord, *, trust: bool) -> None:
        self._directory, self._known, self._trust = directory, known, trust

    def config(self) -> PlainConfig:
        """Return the resolved config.

        Raises:
            RecordError: when there is none, or something else.
            IntegrityError: when it is not the one that was recorded.
        """
        from keepbest.composition.resolved import CONFIG_FILE, read_config

        self._compared(CONFIG_FILE, LARGEST_CONFIG, self._known.value.config_sha256, "config")
        config = read_config(self._directory)
        if "hydra" in config and not self._trust:
            raise RecordError(f"the config of a run must not hold Hydra's own settings, {self._directory} does.")
        return config

    def metrics(self) -> Path:
        """Return the path of the table of metrics.

        Raises:
            RecordError: when there is none, or it is too large to be one.
            IntegrityError: when it is not the one that was recorded.
        """
        record = self._known.value
        path = self._compared(METRICS_FILE, LARGEST_TABLE, record.metrics_sha256, "table of metrics")
        if not path.is_file():
            state = f"the run is {record.status.value}"
            raise RecordError(f"the metrics of a run begin with its first check: {state}, and {path} does not exist.")
        if not self._trust:
            require_modest_table(path)
        return path

    def open_best(self) -> BinaryIO:
        """Open the best checkpoint.

        Raises:
            RecordError: when the run kept none, the record does not say enough of it, or the file is gone.
            IntegrityError: when it is not the file that was recorded.
        """
        from keepbest.reading.recorded_checkpoint import open_recorded

        record = self._known.value
        if record.best_model_path is None:
            raise RecordError(f"the run has no best model: it is {record.status.value}. See its {RUN_FILE}.")
        path = self._path(record.best_model_path)
        if None in (record.best_sha256, record.best_bytes) and not self._trust:
            raise RecordError(
                "a record must hold the size and the hash of the best checkpoint, best_bytes or best_sha256 is null. "
                f"{IF_TRUSTED}"
            )
        return open_recorded(path, record.best_sha256, record.best_bytes)

    def read_best(self) -> dict[str, Any]:
        """Return the content of the best checkpoint, tensors on the CPU.

        Raises:
            RecordError: see `open_best`.
            IntegrityError: see `open_best`; and when it holds anything but tensors and plain containers.
        """
        from keepbest.checkpoints.loading import read_opened
        from keepbest.reading.archive import require_stored

        with self.open_best() as file:
            require_stored(file)
            return read_opened(file)

    def _path(self, name: str, largest: int | None = None) -> Path:
        return (self._directory / name).resolve() if self._trust else require_file(self._directory, name, largest)

    def _compared(self, name: str, largest: int, sha256: str | None, noun: str) -> Path:
        """Return the path of a file that has the recorded hash, where there is one."""
        from keepbest.checkpoints.hashing import require_sha256

        path = self._path(name, largest)
        if sha256 and not self._trust:
            require_sha256(path, sha256, noun)
        return path
