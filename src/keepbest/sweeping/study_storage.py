"""Where a search keeps its study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL_FILE = "study.journal"
"""In the sweep's directory, unless `hydra.sweeper.storage` names another place."""

_STALE_SECONDS = 5


def open_storage(sweep_dir: Path, storage: str | None) -> BaseStorage | str:
    """Return a storage as Optuna takes it.

    Args:
        sweep_dir: the sweep's directory, held by this process.
        storage: a database's URL, or the path of a journal; None: the journal in the directory.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    if storage and "://" in storage:
        return storage
    path = Path(storage).absolute() if storage else sweep_dir / JOURNAL_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    if not storage:
        _remove_torn_end(path)
    # the lock of who was killed while writing; Optuna finds it stale by what it points at, which a relative path hides
    lock = JournalFileSymlinkLock(str(path), grace_period=_STALE_SECONDS)
    return JournalStorage(JournalFileBackend(str(path), lock))


def _remove_torn_end(path: Path) -> None:
    """Remove a last line that was cut off, by a full disk say: Optuna would append to it, and then refuse the file."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
