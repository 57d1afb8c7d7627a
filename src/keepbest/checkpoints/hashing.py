"""The sha256 of files, taken while they are written or afterwards."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

from keepbest.errors import IntegrityError


class HashingWriter:
    """A binary file that hashes what is written to it. It only goes forward: it cannot seek.

    torch.save falls back to streaming its zip archive when it is handed such an object.

    Attributes:
        size: how many bytes were written.
        failure: why the file could not be written; torch answers with an error of its own that does not say.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write and hash."""
        self._hash.update(data)
        self.size += memoryview(data).nbytes
        try:
            return self._file.write(data)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        """Flush the file underneath."""
        self._file.flush()

    def hexdigest(self) -> str:
        """Return the sha256 of everything written so far."""
        return self._hash.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, read in blocks."""
    with path.open("rb") as file:
        return sha256_in(file)


def sha256_in(file: IO[bytes]) -> str:
    """Return the sha256 of an open file from where it stands to its end."""
    digest = hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest()


def require_sha256(path: Path, recorded: str, noun: str = "checkpoint") -> None:
    """Compare a file with the hash it was recorded with.

    Args:
        path: the file.
        recorded: the hash that it must have.
        noun: what the file is, for the message.

    Raises:
        IntegrityError: when they differ, with both hashes; when there is no such file, or none that can be read.
    """
    try:
        found = sha256_of(path)
    except FileNotFoundError:
        raise IntegrityError(
            f"a recorded {noun} must be there: {path} was recorded with the sha256 {recorded}, and does not exist. "
            "It was removed or moved after the run; take it from a backup or train again."
        ) from None
    except OSError as error:
        raise IntegrityError(f"a recorded {noun} must be a file that can be read, {path}: {error.strerror}.") from error
    if found != recorded:
        raise IntegrityError(
            f"a {noun} must have the sha256 it was recorded with: {path} was recorded as {recorded}, is {found}. "
            "The file was changed or damaged after the run; take it from a backup or train again."
        )
