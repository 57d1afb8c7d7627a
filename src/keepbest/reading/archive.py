"""The archive that a checkpoint is, looked at before torch unpacks it."""

from __future__ import annotations

import os
from typing import BinaryIO
from zipfile import ZIP_STORED, ZipFile

from keepbest.checkpoints.loading import first_line
from keepbest.errors import IntegrityError


def require_stored(file: BinaryIO) -> None:
    """Refuse a checkpoint that is larger inside than outside, and one that is no archive of torch.save at all.

    torch.save stores its tensors as they are. A compressed part can grow a thousandfold when it is unpacked, and parts
    that overlap can be unpacked many times.

    Args:
        file: the checkpoint, open for reading; it is left at its beginning.

    Raises:
        IntegrityError: when it is such a file.
    """
    try:
        with ZipFile(file) as archive:
            parts = archive.infolist()
        file.seek(0)
    except Exception as error:  # zipfile has many for what it cannot make sense of
        raise IntegrityError(
            f"a checkpoint must be a file of torch.save, {file.name} is damaged or something else: {first_line(error)}"
        ) from error
    compressed = [part.filename for part in parts if part.compress_type != ZIP_STORED]
    if compressed:
        raise IntegrityError(
            f"a checkpoint must not be compressed, {file.name} holds {compressed[0][:200]!r} compressed."
        )
    unpacked, size = sum(part.file_size for part in parts), os.fstat(file.fileno()).st_size
    if unpacked > size:
        raise IntegrityError(
            f"a checkpoint must not be larger inside than outside, {file.name}: {unpacked} > {size} bytes."
        )
