"""Checkpoints read without executing anything that they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keepbest.checkpoints.hashing import require_sha256
from keepbest.errors import IntegrityError


def load_checkpoint(path: Path, sha256: str | None) -> dict[str, Any]:
    """Return the content of a checkpoint, tensors on the CPU.

    Args:
        path: the file.
        sha256: the hash it must have; None skips the comparison. It comes before the parsing, because `torch.load`
            reads most damaged files without a word.

    Raises:
        IntegrityError: when the hash differs, or the file holds anything but tensors and plain containers.
    """
    import torch

    if sha256 is not None:
        require_sha256(path, sha256)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IntegrityError(
            f"a checkpoint must hold only tensors and plain containers, {path} does not load: {first_line}"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise IntegrityError(f"a checkpoint must hold a 'state_dict', {path} does not.")
    return content
