"""The file that holds the checkpoint of a record."""

from __future__ import annotations

from pathlib import Path

from keepbest.checkpoints.hashing import sha256_of
from keepbest.checkpoints.recovery import content_of
from keepbest.errors import IntegrityError, RecordError
from keepbest.records.atomic import partials_of


def recorded_checkpoint(path: Path, sha256: str | None, size: int | None) -> Path:
    """Return the file that holds a checkpoint's recorded content: `path`, or what a crash kept from taking its place.

    A file of another size is not read, except to tell the hash of one that is shorter.

    Args:
        path: the checkpoint.
        sha256: its recorded hash; None for a record that has none, whose checkpoint is taken as it is.
        size: its recorded size in bytes; None where it was not recorded.

    Raises:
        RecordError: when there is no such file.
        IntegrityError: when none has the recorded content.
    """
    places = [place for place in (path, *_partials_of(path)) if place.is_file()]
    if not places:
        raise RecordError(f"the best checkpoint of the run is gone: {path} does not exist.")
    if sha256 is None:
        return path
    for place in places:
        if place.stat().st_size == size and sha256_of(place) == sha256:
            return place
    if size is not None and path in places and path.stat().st_size > size:
        raise IntegrityError(
            f"a checkpoint must have the size it was recorded with: {path} was recorded with {size} bytes, has "
            f"{path.stat().st_size}. The file was changed after the run; take it from a backup or train again."
        )
    return content_of(path, sha256)


def _partials_of(path: Path) -> list[Path]:
    return partials_of(path) if path.parent.is_dir() else []
