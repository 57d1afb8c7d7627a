"""The IDX format of the MNIST family, gzip-compressed."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keepbest.errors import DataError


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an array of unsigned bytes from a `.gz` file.

    The format, from http://yann.lecun.com/exdb/mnist: two zero bytes, 0x08 for unsigned bytes, the number of
    dimensions, each dimension as a big-endian 32-bit integer, then the values.

    Args:
        path: an existing file.
        dimensions: how many the array must have: 3 for images, 1 for labels.

    Raises:
        DataError: the file is damaged, or holds something else.
    """
    content = _decompress(path)
    magic, header_size = bytes([0, 0, 8, dimensions]), 4 + 4 * dimensions
    if content[:4] != magic or len(content) < header_size:
        raise DataError(
            f"{path} must open with the IDX header of {dimensions}-dimensional bytes, 0x{magic.hex()}, "
            f"got 0x{content[:4].hex()}. Put the original file in its place."
        )
    shape = np.frombuffer(content, dtype=">u4", count=dimensions, offset=4).tolist()
    expected, received = math.prod(shape), len(content) - header_size
    if expected != received:
        raise DataError(
            f"{path} must hold {expected} values of shape {shape} by its own header, got {received}. "
            "The file is truncated or damaged: fetch it again."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header_size).reshape(shape)


def _decompress(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} must be a readable, whole gzip file: {error}. Fetch it again.") from error
