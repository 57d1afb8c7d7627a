"""The working directory of a run: what its relative paths and the user's own modules are looked up from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def workplace(run_dir: Path, started_in: str, *, moves: bool = True, imports: bool = True) -> Iterator[Path]:
    """Work in the directory where a run was started, for the duration of the block; yield it.

    A run that lies below the present working directory stays there: it was copied along with its project. So does one
    whose directory is gone.

    Args:
        run_dir: the run's directory.
        started_in: the working directory that its record names.
        moves: whether relative paths are looked up from there; else from here.
        imports: whether modules are imported from there.
    """
    here, there = Path.cwd(), Path(started_in)
    if there == here or run_dir.resolve().is_relative_to(here.resolve()) or not there.is_dir():
        there = here
    if moves:
        os.chdir(there)
    if imports:
        sys.path.insert(0, str(there))
    try:
        yield there
    finally:
        if imports:
            sys.path.remove(str(there))
        os.chdir(here)
