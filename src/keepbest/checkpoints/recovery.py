"""What a crash in the middle of a save left: found, completed and cleared away.

A checkpoint's hash is recorded when the whole file lies on the disk under its temporary name, before it takes its
place. After a crash in between, the recorded content is in the temporary file.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from keepbest.checkpoints.hashing import sha256_of
from keepbest.errors import IntegrityError, KeepbestError
from keepbest.records.atomic import flush_directory, partials_in, partials_of

log = logging.getLogger(__name__)


def content_of(path: Path, sha256: str) -> Path:
    """Return the file that holds a checkpoint's recorded content: `path`, or what a crash kept from taking its place.

    Nothing is written, so that it serves whoever reads a run.

    Args:
        path: the checkpoint.
        sha256: its recorded hash.

    Raises:
        IntegrityError: when no file has that hash, with the one that `path` has.
    """
    found = None
    for candidate in (path, *_partials_of(path), path):  # again: a running save may have put it there meanwhile
        digest = _sha256_or_none(candidate)
        if digest == sha256:
            return candidate
        found = digest if candidate == path else found
    if found is None:
        raise IntegrityError(
            f"a recorded checkpoint must be there: {path} was recorded with the sha256 {sha256}, and does not exist. "
            "It was removed or moved after the run; take it from a backup or train again."
        )
    raise IntegrityError(
        f"a checkpoint must have the sha256 it was recorded with: {path} was recorded as {sha256}, is {found}. "
        "The file was changed or damaged after the run; take it from a backup or train again."
    )


def settle(directory: Path, recorded: Mapping[str, str]) -> None:
    """Complete the saves that a crash interrupted after they were recorded, and remove all temporary files.

    For the one process that holds the run's lock, before it writes: the temporary file of a save that is under way
    would be removed, too. A directory that does not exist has nothing to settle.

    Args:
        directory: where checkpoints, or other files written by `records.atomic`, lie.
        recorded: the recorded sha256 of each file whose name is known; files without one are not looked at.

    Raises:
        KeepbestError: when a save cannot be completed.
    """
    if not directory.is_dir():
        return
    partials = partials_in(directory)
    for partial, name in partials.items():
        if name in recorded and _is_awaited(partial, directory / name, recorded[name]):
            _complete(partial, directory / name)
        else:
            _remove(partial)
    if partials:
        flush_directory(directory)


def _is_awaited(partial: Path, target: Path, sha256: str) -> bool:
    return _sha256_or_none(partial) == sha256 != _sha256_or_none(target)


def _complete(partial: Path, target: Path) -> None:
    try:
        partial.replace(target)
    except OSError as error:
        raise KeepbestError(
            f"the interrupted save of {target} could not be completed: {error.strerror}. "
            f"Its whole content is in {partial}; make the directory writable and start again."
        ) from error
    log.warning("completed the save of %s, which was interrupted after it was recorded", target)


def _remove(partial: Path) -> None:
    try:
        partial.unlink()
    except OSError as error:
        log.warning("%s is left from an interrupted save and could not be removed: %s", partial, error.strerror)
    else:
        log.info("removed %s, left from an interrupted save", partial)


def _partials_of(path: Path) -> list[Path]:
    return partials_of(path) if path.parent.is_dir() else []


def _sha256_or_none(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except FileNotFoundError:
        return None
