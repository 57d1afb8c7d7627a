"""The files of a run or sweep: regular ones, inside its directory, and no larger than a run's files are."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from keepbest.errors import RecordError

_MEGABYTE = 1 << 20
LARGEST_RECORD = 16 * _MEGABYTE
LARGEST_SWEEP = 64 * _MEGABYTE
LARGEST_CONFIG = _MEGABYTE
LARGEST_TABLE = 256 * _MEGABYTE
MOST_CELLS = 10_000_000
"""Rows times columns of a table of metrics: a short file can claim far more than memory holds."""

IF_TRUSTED = "If you know who made the run and trust them, open it in Python with trust=True."


def require_file(directory: Path, name: str, largest: int | None = None) -> Path:
    """Return the absolute path of a file of a run, after a look at what it is; the file itself is not opened.

    Args:
        directory: the run's directory, absolute and without links.
        name: the file's path as the run gives it, relative to the directory.
        largest: how many bytes it may have; None for any number.

    Returns:
        The path without links; there may be nothing there.

    Raises:
        RecordError: when it leads out of the directory, is no regular file, or is larger.
    """
    path = require_inside(directory, name)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except OSError as error:
        raise RecordError(f"{str(path)[:200]!r} cannot be looked at: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise RecordError(f"{path} cannot be read: a file of a run must be a regular file, not a directory or device.")
    if largest is not None and status.st_size > largest:
        raise RecordError(f"{path} must have at most {largest} bytes, it has {status.st_size}. {IF_TRUSTED}")
    return path


def require_modest_table(path: Path) -> None:
    """Refuse a table of metrics that would not fit in memory.

    Raises:
        RecordError: when it claims more cells than any training writes.
    """
    rows, columns = 0, 1
    with path.open("rb") as file:
        for number, line in enumerate(file):
            rows += 1 + line.count(b"\r")
            columns = line.count(b",") + 1 if number == 0 else columns
    if rows * columns > MOST_CELLS:
        raise RecordError(f"{path} must have at most {MOST_CELLS} cells, it has {rows} rows of {columns}. {IF_TRUSTED}")


def require_inside(directory: Path, name: str, noun: str = "run") -> Path:
    """Return the absolute path of something in the directory of a run or a sweep; there may be nothing there.

    Args:
        directory: of the run or sweep, absolute and without links.
        name: the path as the record gives it, relative to the directory.
        noun: whose directory it is, for the message.

    Raises:
        RecordError: when it leads out of the directory.
    """
    if _is_foreign(name):
        raise RecordError(
            f"a path in a record must be relative to the {noun}'s directory and inside it, got {name[:99]!r}. "
            f"{IF_TRUSTED}"
        )
    rule = f"a file of a {noun} must lie in its directory"
    try:
        path = (directory / name).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a link that leads to itself
        raise RecordError(f"{rule}, {name[:200]!r} is no path: {error}") from error
    if not path.is_relative_to(directory):
        raise RecordError(f"{rule}, {name!r} leads to {str(path)!r}. {IF_TRUSTED}")
    return path


def _is_foreign(name: str) -> bool:
    """Return whether a path is absolute, leads upwards or is no path, on this or another system."""
    if not name or "://" in name or any(character < " " for character in name):
        return True
    kinds = (PurePosixPath(name), PureWindowsPath(name))
    return any(kind.anchor or ".." in kind.parts for kind in kinds)
