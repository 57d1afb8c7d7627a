"""Checkpoints read without executing anything that they hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZipFile

from keepbest.checkpoints.hashing import require_sha256
from keepbest.errors import IntegrityError, KeepbestError

_MOST_NAMES, _LONGEST_NAME = 5, 100


def read_checkpoint(path: Path, sha256: str | None) -> dict[str, Any]:
    """Return the content of a checkpoint, tensors on the CPU.

    Args:
        path: the file.
        sha256: the hash it must have; None skips the comparison. It comes before the parsing, because `torch.load`
            reads most damaged files without a word.

    Raises:
        IntegrityError: when the hash differs, or the file holds anything but tensors and plain containers.
    """
    if sha256 is not None:
        require_sha256(path, sha256)
    with path.open("rb") as file:
        return read_opened(file)


def read_opened(file: BinaryIO) -> dict[str, Any]:
    """Return the content of a checkpoint that is open for reading, tensors on the CPU.

    Raises:
        IntegrityError: when the file holds anything but tensors and plain containers.
    """
    content = read_safely(file)
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise IntegrityError(f"a checkpoint must hold a 'state_dict', {file.name} does not.")
    return content


def read_safely(source: Path | BinaryIO) -> Any:
    """Return what a file holds, tensors on the CPU, without executing anything.

    Raises:
        IntegrityError: when it holds anything but tensors and plain containers, or cannot be parsed.
    """
    import torch

    with refusals_told(source):
        return torch.load(source, map_location="cpu", weights_only=True)


@contextmanager
def refusals_told(source: Path | BinaryIO) -> Iterator[None]:
    """Turn what `torch.load(..., weights_only=True)` raises in the block into an error in keepbest's words.

    torch's advise how to load the file in a way that executes what it holds; neither their text nor their traceback is
    shown then.

    Args:
        source: the file that is loaded.

    Raises:
        IntegrityError: for whatever the block raises, but for a file that is not there.
    """
    try:
        yield
    except (KeepbestError, FileNotFoundError):
        raise
    except Exception as error:
        if "weights_only" in str(error):
            raise _refused(source, _beyond_plain(source)) from None
        raise _refused(source, first_line(error)) from error


def _refused(source: Path | BinaryIO, reason: str) -> IntegrityError:
    name = source if isinstance(source, Path) else source.name
    return IntegrityError(f"a checkpoint must hold only tensors and plain containers, {name} does not load: {reason}")


def _beyond_plain(source: Path | BinaryIO) -> str:
    """Say what a file asks for beyond tensors and plain containers, as far as that can be told without loading it."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        if not isinstance(source, Path):
            source.seek(0)
        names = sorted(get_unsafe_globals_in_checkpoint(source))
    except Exception:  # noqa: BLE001 - it was made to mislead; what it raises says nothing to a person
        names = []
    if not names:
        return "it holds something else, or is damaged."
    asked = ", ".join(repr(name[:_LONGEST_NAME]) for name in names[:_MOST_NAMES])
    return f"it asks for {asked}, and loading that could execute what whoever wrote the file chose."


def require_checksums(path: Path) -> None:
    """Compare each part of a file of torch.save with the CRC-32 beside it, at which torch.load never looks.

    Raises:
        IntegrityError: when one differs, or the file is no such file at all.
    """
    try:
        with ZipFile(path) as file:
            damaged = file.testzip()
    except OSError:
        raise
    except Exception as error:  # zipfile has many for what it cannot make sense of
        raise IntegrityError(
            f"a checkpoint must be a whole file of torch.save, {path} is damaged or something else: {first_line(error)}"
        ) from error
    if damaged is not None:
        raise IntegrityError(
            f"a checkpoint must be as it was written, {path} is damaged in {damaged}. "
            "Take it from a backup, or remove it and train again."
        )


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or its type when it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
