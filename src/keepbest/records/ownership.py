"""Who holds a run's directory: one process at a time, and none once it is dead."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from keepbest.errors import KeepbestError, OwnedError
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import read_record

LOCK_FILE = ".lock"

_PATIENCE_SECONDS = 0.5  # a reader that looks whether somebody holds the lock holds it for that moment itself


@contextmanager
def owned(run_dir: Path) -> Iterator[None]:
    """Hold a run's directory for this process, against any other that would train in it.

    The lock is the operating system's: it ends with the process, however that dies, and is not handed on to the
    processes that it forks.

    Raises:
        OwnedError: when another process holds it.
    """
    lock = FileLock(run_dir / LOCK_FILE, timeout=_PATIENCE_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise OwnedError(run_dir, _owner_of(run_dir)) from None
    try:
        yield
    finally:
        lock.release()


def as_it_stands(run_dir: Path, record: RunRecord) -> RunRecord:
    """Return a record whose run nobody owns any more as interrupted, instead of running.

    The lock decides, not the recorded process number, which another process may have by now, nor the host: on a shared
    file system locks reach the other machines, and in a copy nobody trains. Where they do not reach them (some mounts
    keep locks to themselves), a run that trains on another machine shows as interrupted.

    Nothing is written: the run may be somebody else's, or on a disk that only reads.
    """
    if record.status is not RunStatus.RUNNING or _is_locked(run_dir / LOCK_FILE):
        return record
    return dataclasses.replace(record, status=RunStatus.INTERRUPTED)


def _is_locked(path: Path) -> bool:
    """Return whether a process holds the lock, without touching the file."""
    try:
        import fcntl

        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (ImportError, OSError):  # Windows; a copied run without its lock
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _owner_of(run_dir: Path) -> str:
    try:
        environment = read_record(run_dir).environment
    except KeepbestError:
        return "another process"
    return f"process {environment.pid} on {environment.host}" if environment.pid else "another process"
