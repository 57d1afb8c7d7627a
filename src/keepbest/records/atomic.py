"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PARTIAL_SUFFIX = ".partial"

_PARTIAL_NAME = re.compile(rf"\.(.+)\.[0-9a-f]{{8}}{re.escape(PARTIAL_SUFFIX)}", re.DOTALL)


@contextmanager
def replacing(
    path: Path, link: Callable[[Path, Path], None] = os.replace, announce: Callable[[], None] | None = None
) -> Iterator[IO[bytes]]:
    """Open a binary file that takes the place of `path` when the block ends well, and vanishes when it does not.

    The bytes go to a temporary file in the same directory (a rename is atomic within one file system only), are
    flushed to the disk, and the rename itself is flushed with the directory. The file's permissions follow the umask.

    Args:
        path: the file to replace.
        link: gives the temporary file its name.
        announce: called when the temporary file and its name are on the disk, before it takes the place of `path`.
            What it raises leaves the old file there, and the temporary one is removed. Once it has returned, the
            temporary file is never removed: somebody knows of its content, and `partials_of` finds it.
    """
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    announced = False
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if announce is not None:
            flush_directory(path.parent)
            announced = True  # now already: Ctrl-C may come when the announcement is made, and has not returned
            try:
                announce()
            except Exception:
                announced = False
                raise
        link(partial, path)
    finally:
        if not announced:
            with suppress(OSError):
                partial.unlink()
    flush_directory(path.parent)


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


def partials_in(directory: Path) -> dict[Path, str]:
    """Return the temporary files that lie in a directory, each with the name of the file it was to replace."""
    names = {path: _PARTIAL_NAME.fullmatch(path.name) for path in sorted(directory.iterdir())}
    return {path: name[1] for path, name in names.items() if name and path.is_file() and not path.is_symlink()}


def partials_of(path: Path) -> list[Path]:
    """Return the temporary files that were to replace `path`."""
    return [partial for partial, name in partials_in(path.parent).items() if name == path.name]


def make_directory(directory: Path) -> None:
    """Make a directory and those above it, and flush their names to the disk."""
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for made in missing:
        flush_directory(made.parent)


def flush_directory(directory: Path) -> None:
    """Flush the names in a directory to the disk: those of new files, and renames."""
    if os.name == "nt":  # a directory cannot be opened there
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
