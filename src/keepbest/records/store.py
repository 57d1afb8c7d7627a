"""Where a run's record lives, and how it is read and written."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from keepbest.errors import IntegrityError, RecordError
from keepbest.records.atomic import create_text, write_text
from keepbest.records.run_record import RunRecord

RUN_FILE = "run.json"
CHECKSUM = "checksum"
"""The last key of the file: the sha256 of the file as it would be without it."""

_DEEPEST = 32
_LONGEST_MESSAGE = 500
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


def sealed(data: dict[str, Any]) -> str:
    """Return plain data as the text of a record, with the checksum as its last key."""
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return text.removesuffix(_PLAIN_END.decode()) + f',\n  "{CHECKSUM}": "{checksum}"' + _PLAIN_END.decode()


def read_record(run_dir: Path, *, verify: bool = True) -> RunRecord:
    """Read `run.json`.

    Args:
        run_dir: the run's directory.
        verify: whether the file must be as it was written, by its checksum; False accepts one that was edited.

    Raises:
        RecordError: when the directory has none, or holds something else.
        IntegrityError: when it is not the file that was written.
    """
    path = run_dir / RUN_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise RecordError(f"a run directory must hold {RUN_FILE}, {str(run_dir)!r} does not.") from None
    except OSError as error:
        raise RecordError(f"{path} cannot be read as JSON: {error}") from error
    if verify:
        _require_checksum(path, content)
    return _parse(path, content)


def _require_checksum(path: Path, content: bytes) -> None:
    """Compare the bytes, not what they mean to a JSON parser, for which `1e-5` and `1E-5` are the same."""
    end = _SEALED_END.fullmatch(content[-_SEALED_LENGTH:])
    if end is None:
        raise RecordError(
            f"a record must end with its {CHECKSUM}, {path} does not: it was cut off, edited by hand or written by "
            "something else. Take it from a backup; if it is your own edit, open the run with trust=True."
        )
    recorded = end[1].decode()
    found = hashlib.sha256(content[:-_SEALED_LENGTH] + _PLAIN_END).hexdigest()
    if found != recorded:
        raise IntegrityError(
            f"a record must have the {CHECKSUM} it was written with: {path} was written with {recorded}, has {found}. "
            "It was changed or damaged after the run; take it from a backup. If it is your own edit, open the run "
            "with trust=True."
        )


def _parse(path: Path, content: bytes) -> RunRecord:
    try:
        data = json.loads(content.decode())
        _require_shallow(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path} must hold a mapping, got {type(data).__name__}.")
    try:
        return RunRecord.from_dict(data)
    except RecordError as error:
        if len(str(error)) <= _LONGEST_MESSAGE:
            raise
        raise RecordError(f"{path} is far from the schema: {str(error)[:_LONGEST_MESSAGE]}...") from None


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
