"""Who holds the directory of a run or a sweep: one process at a time, and none once it is dead."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from keepbest.errors import KeepbestError, OwnedError
from keepbest.records.locations import sweep_directory
from keepbest.records.run_record import Environment, RunRecord, RunStatus
from keepbest.records.store import SWEEP_FILE, read_record, read_sweep

LOCK_FILE = ".lock"

_RESULTS = (RunStatus.COMPLETED, RunStatus.DIVERGED)
_PATIENCE_SECONDS = 0.5  # a reader that looks whether somebody holds the lock holds it for that moment itself


@contextmanager
def owned(run_dir: Path) -> Iterator[None]:
    """Hold the directory of a run, or of a sweep, for this process, against any other that would work in it.

    The lock is the operating system's: it ends with the process, however that dies, and is not handed on to the
    processes that it forks.

    Raises:
        OwnedError: when another process holds it, or holds the shared training that the run is a member of.
    """
    lock = FileLock(run_dir / LOCK_FILE, timeout=_PATIENCE_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise OwnedError(run_dir, _owner_of(run_dir)) from None
    try:
        _require_no_shared_training(run_dir)
        yield
    finally:
        lock.release()


def require_free(run_dir: Path) -> None:
    """Refuse a directory that another process holds; it is not held afterwards.

    Raises:
        OwnedError: when one does. The shared training that the run is a member of is not looked at.
    """
    if _is_locked(run_dir / LOCK_FILE):
        raise OwnedError(run_dir, _owner_of(run_dir))


def as_it_stands(run_dir: Path, record: RunRecord) -> RunRecord:
    """Return a record whose run nobody owns any more as interrupted, instead of running.

    The lock decides, of a member of a shared training that of the training: not the recorded process number, which
    another process may have by now, nor the host. On a shared file system locks reach the other machines, and in a copy
    nobody trains. Where they do not reach them (some mounts keep locks to themselves), a run that trains on another
    machine shows as interrupted.

    Nothing is written: the run may be somebody else's, or on a disk that only reads.
    """
    if record.status is not RunStatus.RUNNING or _is_locked(run_dir / LOCK_FILE) or _is_trained(run_dir, record):
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


def _require_no_shared_training(run_dir: Path) -> None:
    record: RunRecord | None = None
    with suppress(KeepbestError):  # a directory without a record that can be read is nobody's member
        record = read_record(run_dir)
    if record and record.status not in _RESULTS and _is_trained(run_dir, record):
        raise OwnedError(run_dir, _owner_of(run_dir))


def _is_trained(run_dir: Path, record: RunRecord) -> bool:
    """Return whether a process holds the shared training that a run is a member of.

    The record may be anybody's. It is followed to no other place than a directory of the same sweep, through no link.
    """
    if record.trajectory is None or os.path.isabs(record.trajectory.directory):  # noqa: PTH117 - any text may be there
        return False
    try:
        sweep_dir = sweep_directory(run_dir)
        place = Path(os.path.normpath(run_dir.absolute() / record.trajectory.directory))
        if sweep_dir is None or sweep_dir not in place.parents:
            return False
        between = place.relative_to(sweep_dir).parents
        if any((sweep_dir / part).is_symlink() for part in (place, *between)[:-1]):
            return False
        return _is_locked(place / LOCK_FILE)
    except (OSError, ValueError):  # what is no path
        return False


def _owner_of(directory: Path) -> str:
    try:
        environment = (
            read_sweep(directory) if (directory / SWEEP_FILE).exists() else read_record(directory)
        ).environment
    except KeepbestError:
        return "another process"
    if environment.pid is None or _has_ended(environment):
        return "another process"
    return f"process {environment.pid} on {environment.host}"


def _has_ended(environment: Environment) -> bool:
    """Return whether it is certain that a recorded process is no more: whoever holds the lock has not written yet."""
    if environment.pid is None or environment.host != socket.gethostname() or os.name != "posix":
        return False
    try:
        os.kill(environment.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
