"""The file that holds the checkpoint of a record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from keepbest.checkpoints.hashing import sha256_in
from keepbest.errors import IntegrityError, KeepbestError, RecordError
from keepbest.records.atomic import partials_of


def open_recorded(path: Path, sha256: str | None, size: int | None) -> BinaryIO:
    """Open the file that holds a checkpoint's recorded content: `path`, or what a crash kept from taking its place.

    Whoever reads from it reads what was compared, also when a training has replaced the file since. A file that is
    larger than recorded is not read; the hash of one that is shorter is told.

    Args:
        path: the checkpoint.
        sha256: its recorded hash; None for a record that has none, whose checkpoint is taken as it is.
        size: its recorded size in bytes; None where it was not recorded.

    Raises:
        RecordError: when there is no such file, or none that can be opened.
        IntegrityError: when none has the recorded content.
    """
    fault: KeepbestError = RecordError(f"the best checkpoint of the run is gone: {path} does not exist.")
    for place in (path, *_partials_of(path), path):  # again: a running save may have put it there meanwhile
        file = _opened(place)
        if file is None:
            continue
        differs = _difference(file, path, sha256, size)
        if differs is None:
            file.seek(0)
            return file
        file.close()
        if place == path:
            fault = IntegrityError(differs)
        elif isinstance(fault, RecordError):
            fault = IntegrityError(
                f"a recorded checkpoint must be there: {path} was recorded with the sha256 {sha256}, and does not "
                "exist. It was removed or moved after the run; take it from a backup or train again."
            )
    raise fault


def _difference(file: BinaryIO, path: Path, sha256: str | None, size: int | None) -> str | None:
    """Return in which way a file's content is not the recorded one; None when it is."""
    held = os.fstat(file.fileno()).st_size
    if sha256 is None:
        return None
    if size is not None and held > size:
        return (
            f"a checkpoint must have the size it was recorded with: {path} was recorded with {size} bytes, has {held}. "
            "The file was changed after the run; take it from a backup or train again."
        )
    found = sha256_in(file)
    if found == sha256:
        return None
    return (
        f"a checkpoint must have the sha256 it was recorded with: {path} was recorded as {sha256}, is {found}. "
        "The file was changed or damaged after the run; take it from a backup or train again."
    )


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb") if path.is_file() else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"the best checkpoint of the run cannot be opened, {path}: {error.strerror}.") from error


def _partials_of(path: Path) -> list[Path]:
    return partials_of(path) if path.parent.is_dir() else []
