"""A sweep's directory, held for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keepbest.records.ownership import LOCK_FILE, owned


@contextmanager
def held_sweep(directory: Path) -> Iterator[None]:
    """Hold a sweep's directory for this command, which may read, plan and write it; make it where there is none.

    What was made for nothing, because the block has written no file, is removed again.

    Args:
        directory: the sweep's, absolute.

    Raises:
        OwnedError: when another command works on the sweep.
    """
    made = [place for place in (directory, *directory.parents) if not place.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with owned(directory):
            try:
                yield
            finally:
                if made and [path.name for path in directory.iterdir()] == [LOCK_FILE]:
                    (directory / LOCK_FILE).unlink()
    finally:
        with suppress(OSError):  # somebody has written there
            for place in made:
                place.rmdir()
