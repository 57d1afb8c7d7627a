"""Where runs and sweeps lie: `outputs/runs` with the link to the newest, and `outputs/sweeps`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from keepbest.errors import ConfigError
from keepbest.records.store import RUN_FILE, SWEEP_FILE

OUTPUTS, RUNS, SWEEPS, LATEST = "outputs", "runs", "sweeps", "latest"


def new_id() -> str:
    """Return six hexadecimal digits that tell launches of the same second apart."""
    return secrets.token_hex(3)


def point_latest(run_dir: Path) -> None:
    """Let `latest` beside `runs` point at a run; does nothing for a run that lies elsewhere.

    The link is relative, so that the outputs can be moved. Where the file system has no links there is none, and
    `keepbest.reading.newest` falls back on the records.
    """
    run_dir = run_dir.absolute()
    if run_dir.parent.name != RUNS:
        return
    outputs = run_dir.parent.parent
    fresh = outputs / f".{LATEST}.{new_id()}"
    try:
        fresh.symlink_to(os.path.relpath(run_dir, outputs), target_is_directory=True)
        fresh.replace(outputs / LATEST)
    except OSError:
        fresh.unlink(missing_ok=True)


def run_directory(path: str | Path, noun: str = "run") -> Path:
    """Return the directory of a run, or of a sweep.

    Args:
        path: the directory, or any file right inside it.
        noun: what it is, for the message.

    Raises:
        ConfigError: for what cannot be a path.
    """
    try:
        place = Path(path).expanduser()
        directory = place.parent if place.exists() and not place.is_dir() else place
        directory.resolve()  # finds the zero byte that the other two pass over
    except (OSError, RuntimeError, ValueError, TypeError) as error:  # too long, of a user that is not there, a number
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"a {noun} must be given by a path: {reason}", received=str(path)) from None
    return directory


def recorded_directory(path: str | Path) -> Path:
    """Return the directory of a run or a sweep that is there, as a person would write it.

    Args:
        path: the directory, or any file right inside it.

    Raises:
        ConfigError: for what cannot be a path, and where there is neither a run nor a sweep.
    """
    directory = run_directory(path, "run or sweep")
    if not any(os.path.lexists(directory / name) for name in (RUN_FILE, SWEEP_FILE)):
        raise ConfigError(
            f"a run or sweep must be a directory with {RUN_FILE} or {SWEEP_FILE} in it",
            received=str(path),
            remedy="keepbest ls lists what there is",
        )
    return directory


def lasting(directory: Path) -> Path:
    """Return a directory by a path that means the same tomorrow: without `latest`, or another link, at its end.

    It stays relative where it lies below the working directory.
    """
    if not directory.is_symlink() and directory.name not in ("", ".."):
        return directory
    place, here = directory.resolve(), Path.cwd().resolve()
    return place.relative_to(here) if here in place.parents else place


def for_people(path: Path) -> Path:
    """Return a path as a person at this directory would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def sweep_directory(run_dir: Path) -> Path | None:
    """Return the directory of the sweep that a run lies in, absolute; None for a run that lies in none."""
    return next((place for place in run_dir.absolute().parents if (place / SWEEP_FILE).is_file()), None)
