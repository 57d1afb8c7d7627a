"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PARTIAL_SUFFIX = ".partial"


@contextmanager
def replacing(path: Path, link: Callable[[Path, Path], None] = os.replace) -> Iterator[IO[bytes]]:
    """Open a binary file that takes the place of `path` when the block ends well, and vanishes when it does not.

    The bytes go to a temporary file in the same directory (a rename is atomic within one file system only), are
    flushed to the disk, and the rename itself is flushed with the directory. The file's permissions follow the umask.
    """
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        link(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()
    _flush_directory(path.parent)


def create_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8 as the whole of a new file, atomically: of several processes that try, one succeeds.

    Raises:
        FileExistsError: when the file exists.
    """
    try:
        with replacing(path, link=os.link) as file:
            file.write(text.encode())
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        path.open("xb").close()
        write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8 as the whole of `path`, atomically."""
    with replacing(path) as file:
        file.write(text.encode())


def _flush_directory(directory: Path) -> None:
    if os.name == "nt":  # a directory cannot be opened there
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
