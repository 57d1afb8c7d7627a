"""Checkpoints read without executing anything that they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import ZipFile

from keepbest.checkpoints.hashing import require_sha256
from keepbest.errors import IntegrityError


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
    content = read_safely(path)
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise IntegrityError(f"a checkpoint must hold a 'state_dict', {path} does not.")
    return content


def read_safely(path: Path) -> Any:
    """Return what a file holds, tensors on the CPU, without executing anything.

    Raises:
        IntegrityError: when it holds anything but tensors and plain containers, or cannot be parsed.
    """
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise IntegrityError(
            f"a checkpoint must hold only tensors and plain containers, {path} does not load: {first_line(error)}"
        ) from error


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
