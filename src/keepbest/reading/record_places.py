"""The directories below another that hold the record of a run or a sweep; they may be anybody's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from keepbest.records.store import RUN_FILE, SWEEP_FILE

_DEEPEST = 12  # directories inside each other
_MOST = 1_000_000  # directories looked at
_DEEPEST_LINK = 2  # directories below the one that was named: `outputs/runs` and `outputs/runs/mine` may be links


class RecordPlace(NamedTuple):
    """A directory with a record.

    Args:
        name: its path below the directory that was named, by which a person gets there; may lead through a link.
        directory: the same, absolute and without links.
        file: `run.json` or `sweep.json`.
    """

    name: str
    directory: Path
    file: str


class _Place(NamedTuple):
    name: PurePosixPath
    directory: Path
    depth: int


def record_places(root: Path) -> Iterator[RecordPlace]:
    """Return the places of records, each once: by its own name where it lies below the root, else by that of a link.

    Links to directories are followed right below the root and one level deeper, for outputs that lie on another disk,
    but not to what is above the root, and into no run or sweep that is found. Hidden directories are not looked into.

    Args:
        root: where to look, absolute and without links.
    """
    waiting, links, links_to_runs = [_Place(PurePosixPath(), root, 0)], list[_Place](), list[_Place]()
    looked, recorded = set[Path](), set[Path]()
    while (following := waiting or links or links_to_runs) and len(looked) < _MOST:
        place = following.pop()
        if place.directory in looked or not recorded.isdisjoint(place.directory.parents):
            continue
        looked.add(place.directory)
        if file := _record_in(place.directory):
            recorded.add(place.directory)
            yield RecordPlace(place.name.as_posix(), place.directory, file)
            continue
        below = place.depth + 1
        for entry in _inside(place.directory) if below <= _DEEPEST else []:
            if _is_directory(entry, follow=False):
                waiting.append(_Place(place.name / entry.name, place.directory / entry.name, below))
            elif below <= _DEEPEST_LINK and _is_directory(entry, follow=True):
                target = Path(entry.path).resolve()
                if target not in root.parents:
                    later = links_to_runs if _record_in(target) == RUN_FILE else links  # such as `latest`
                    later.append(_Place(place.name / entry.name, target, below))


def _record_in(directory: Path) -> str | None:
    return next((name for name in (SWEEP_FILE, RUN_FILE) if os.path.lexists(directory / name)), None)


def _inside(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name, reverse=True)  # the last is taken first
    except OSError:  # not ours to read, or gone meanwhile
        return []


def _is_directory(entry: os.DirEntry[str], *, follow: bool) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=follow)
    except OSError:
        return False
