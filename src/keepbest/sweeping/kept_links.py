"""Second names for checkpoints that a training goes on to replace."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from keepbest.records.atomic import PARTIAL_SUFFIX, flush_directory, make_directory

KEPT = "kept"


class KeptLinks:
    """Keeps the content of checkpoints as it was at an ending, as hard links: `kept/ENDING/PATH`.

    Content that several endings have in common lies on the disk once.

    Args:
        directory: of the training whose checkpoints they are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def place(self, ending: str, name: str) -> Path:
        """Return where the content of a file lies.

        Args:
            ending: the name of the ending.
            name: the file's path below the training's directory.
        """
        return self._directory / KEPT / ending / name

    def has(self, ending: str) -> bool:
        """Return whether an ending's files were kept."""
        return self.place(ending, "").is_dir()

    def keep(self, ending: str, names: Iterable[str], also: Callable[[Path], None] | None = None) -> None:
        """Keep files, all or none of them; those kept before under this name stay.

        A training that was killed and goes on from an earlier checkpoint comes to the same ending again. By then its
        file may hold a later best than it did: what was kept the first time is right.

        Args:
            ending: the name of the ending.
            names: the files' paths below the training's directory.
            also: writes more files into the directory that it is given.
        """
        if self.has(ending):
            return
        final, fresh = self.place(ending, ""), self.place(ending, "").with_name(f".{ending}{PARTIAL_SUFFIX}")
        shutil.rmtree(fresh, ignore_errors=True)
        make_directory(fresh)
        if also:
            also(fresh)
        for name in names:
            make_directory((fresh / name).parent)
            link_or_copy(self._directory / name, fresh / name)
        fresh.rename(final)
        flush_directory(final.parent)

    def drop(self) -> None:
        """Forget all of them: the members have names of their own for what they need."""
        shutil.rmtree(self._directory / KEPT, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links; what has that name is replaced."""
    partial = target.parent / f".{target.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    try:
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)
        partial.replace(target)  # does nothing where both are names of one file
    finally:
        with suppress(OSError):
            partial.unlink()
    flush_directory(target.parent)
