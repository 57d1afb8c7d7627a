"""Checkpoints written whole or not at all, and a disk that refuses in plain words."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import torch
from torch.utils.serialization import config

from keepbest.checkpoints.hashing import HashingWriter
from keepbest.errors import KeepbestError
from keepbest.records.atomic import make_directory, replacing

BeforeReplace = Callable[[Path, str, int], None]
"""Is told the target, the sha256 and the bytes of a file that lies on the disk and is about to take its place."""


def write_checkpoint(
    content: Any,
    target: Path,
    accept: Callable[[Path], None] | None = None,
    before_replace: BeforeReplace | None = None,
) -> str:
    """Write a file with torch.save beside its target, flush it to the disk and rename it.

    Args:
        content: what torch.save takes.
        target: the file to replace; its directory is made.
        accept: looks at the whole file before it takes its place. What it raises leaves the old one there.
        before_replace: records the new file, which lies on the disk under a temporary name by then: whatever happens
            once it has returned, `recovery` finds that content. What it raises leaves the old file there.

    Returns:
        The sha256 of the file.

    Raises:
        KeepbestError: when the disk is full or the directory cannot be written, naming both.
    """
    writer: HashingWriter | None = None

    def announce() -> None:
        if before_replace and writer:
            before_replace(target, writer.hexdigest(), writer.size)

    try:
        make_directory(target.parent)
        with replacing(target, announce=announce if before_replace else None) as file:
            writer = HashingWriter(file)
            with _checksums():
                torch.save(content, cast("Any", writer))
            if accept:
                accept(Path(file.name))
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else writer.failure if writer else None
        if cause is None:
            raise
        raise KeepbestError(_why_not_written(target, cause)) from error
    return writer.hexdigest()


def _checksums() -> AbstractContextManager[None]:
    """Let torch write the checksums by which damage is recognised, even where somebody switched them off."""
    patched: AbstractContextManager[None] = config.patch(  # type: ignore[attr-defined]  # added when it is imported
        "save.compute_crc32", True
    )
    return patched


def _why_not_written(target: Path, error: OSError) -> str:
    remedy = {
        errno.ENOSPC: "Free some space on that disk",
        errno.EDQUOT: "Free some of your quota",
        errno.EACCES: "Give this user permission to write there",
        errno.EROFS: "Choose a directory on a writable disk",
    }.get(error.errno or 0, "See the system's message")
    return (
        f"the checkpoint {target} could not be written: {error.strerror or error}. {remedy}. "
        "A checkpoint that was written before under this name is still whole."
    )
