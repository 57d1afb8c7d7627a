"""Where the records of runs and sweeps live, and how they are read and written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keepbest.errors import IntegrityError, RecordError
from keepbest.records.atomic import create_text, write_text
from keepbest.records.plain_data import plain
from keepbest.records.run_record import Evaluation, RunRecord
from keepbest.records.sweep_record import SweepRecord

RUN_FILE = "run.json"
SWEEP_FILE = "sweep.json"
MEMBERS_FILE = "members.json"
"""In the directory of a training that jobs of a sweep share."""
CHECKSUM = "checksum"
"""The last key of the file: the sha256 of the file as it would be without it."""

_DEEPEST = 32
_LONGEST_MESSAGE = 500
_OPENERS = {RUN_FILE: "open_run", SWEEP_FILE: "open_sweep"}
_SEALED_END = re.compile(rb',\n  "' + CHECKSUM.encode() + rb'": "([0-9a-f]{64})"\n}\n')
_PLAIN_END = b"\n}\n"
_SEALED_LENGTH = len(f',\n  "{CHECKSUM}": "{64 * "0"}"') + len(_PLAIN_END)


def write_record(run_dir: Path, record: RunRecord) -> None:
    """Write `run.json`, atomically."""
    write_text(run_dir / RUN_FILE, sealed(record.as_dict()))


def create_record(run_dir: Path, record: RunRecord) -> None:
    """Write the first `run.json` of a directory, and so claim it.

    Raises:
        FileExistsError: when the directory holds a run.
    """
    create_text(run_dir / RUN_FILE, sealed(record.as_dict()))


def add_evaluation(run_dir: Path, evaluation: Evaluation) -> None:
    """Add an evaluation to `run.json`, atomically; whatever else it holds, known to this version or not, stays.

    Whoever calls this holds the directory.

    Raises:
        RecordError: when the directory has no record, or holds something else.
        IntegrityError: when it is not the file that was written: a seal would pass it off as whole.
    """
    data = _read(run_dir, RUN_FILE, "run", verify=True)
    with _short_messages(run_dir / RUN_FILE):
        RunRecord.from_dict(data)
    del data[CHECKSUM]
    data["evaluations"] = [*data.get("evaluations", []), plain(evaluation)]
    write_text(run_dir / RUN_FILE, sealed(data))


def sealed(data: dict[str, Any]) -> str:
    """Return plain data as the text of a record, with the checksum as its last key."""
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return text.removesuffix(_PLAIN_END.decode()) + f',\n  "{CHECKSUM}": "{checksum}"' + _PLAIN_END.decode()


def write_sweep(sweep_dir: Path, record: SweepRecord) -> None:
    """Write `sweep.json`, atomically."""
    write_text(sweep_dir / SWEEP_FILE, sealed(record.as_dict()))


def read_sweep(sweep_dir: Path, *, verify: bool = True) -> SweepRecord:
    """Read `sweep.json`.

    Args:
        sweep_dir: the sweep's directory.
        verify: whether the file must be as it was written, by its checksum; False accepts one that was edited.

    Raises:
        RecordError: when the directory has none, or holds something else.
        IntegrityError: when it is not the file that was written.
    """
    data = _read(sweep_dir, SWEEP_FILE, "sweep", verify=verify)
    with _short_messages(sweep_dir / SWEEP_FILE):
        return SweepRecord.from_dict(data)


def read_record(run_dir: Path, *, verify: bool = True) -> RunRecord:
    """Read `run.json`.

    Args:
        run_dir: the run's directory.
        verify: whether the file must be as it was written, by its checksum; False accepts one that was edited.

    Raises:
        RecordError: when the directory has none, or holds something else.
        IntegrityError: when it is not the file that was written.
    """
    data = _read(run_dir, RUN_FILE, "run", verify=verify)
    with _short_messages(run_dir / RUN_FILE):
        return RunRecord.from_dict(data)


@contextmanager
def _short_messages(path: Path) -> Iterator[None]:
    """Cut the message of an error that quotes what it did not understand."""
    try:
        yield
    except RecordError as error:
        if len(str(error)) <= _LONGEST_MESSAGE:
            raise
        raise RecordError(f"{path} is far from the schema: {str(error)[:_LONGEST_MESSAGE]}...") from None


def _read(directory: Path, name: str, noun: str, *, verify: bool) -> dict[str, Any]:
    path = directory / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        hint = _hint(directory, name)
        raise RecordError(f"a {noun} directory must hold {name}, {str(directory)!r} does not.{hint}") from None
    except OSError as error:
        raise RecordError(f"{path} cannot be read as JSON: {error}") from error
    if verify:
        _require_checksum(path, content)
    return _parse(path, content)


def _hint(directory: Path, name: str) -> str:
    """Return how to open what a directory holds instead."""
    others = [(other, opener) for other, opener in _OPENERS.items() if other != name and (directory / other).is_file()]
    return f" It holds {others[0][0]}: open it with keepbest.{others[0][1]}." if others else ""


def _remedy_for(path: Path) -> str:
    return (
        "Take it from a backup. If it is your own edit, in Python "
        f"keepbest.{_OPENERS[path.name]}(..., trust=True) reads it; no training goes on from it."
    )


def _require_checksum(path: Path, content: bytes) -> None:
    """Compare the bytes, not what they mean to a JSON parser, for which `1e-5` and `1E-5` are the same."""
    end = _SEALED_END.fullmatch(content[-_SEALED_LENGTH:])
    if end is None:
        raise RecordError(
            f"a record must end with its {CHECKSUM}, {path} does not: it was cut off, edited by hand or written by "
            f"something else. {_remedy_for(path)}"
        )
    recorded = end[1].decode()
    found = hashlib.sha256(content[:-_SEALED_LENGTH] + _PLAIN_END).hexdigest()
    if found != recorded:
        raise IntegrityError(
            f"a record must have the {CHECKSUM} it was written with: {path} was written with {recorded}, has {found}. "
            f"It was changed or damaged after it was written. {_remedy_for(path)}"
        )


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content.decode())
        _require_shallow(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path} must hold a mapping, got {type(data).__name__}.")
    return data


def _require_shallow(data: Any) -> None:
    """Refuse nesting that would exhaust the stack of whoever walks over it.

    Raises:
        ValueError: when there is such.
    """
    level = [data]
    for _ in range(_DEEPEST):
        containers = [item for item in level if isinstance(item, (dict, list))]
        level = [item for inside in containers for item in (inside.values() if isinstance(inside, dict) else inside)]
        if not level:
            return
    raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
