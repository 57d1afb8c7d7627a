"""Where a run's record lives, and how it is read and written."""

from __future__ import annotations

import json
from pathlib import Path

from keepbest.errors import RecordError
from keepbest.records.atomic import create_text, write_text
from keepbest.records.run_record import RunRecord

RUN_FILE = "run.json"


def write_record(run_dir: Path, record: RunRecord) -> None:
    """Write `run.json`, atomically."""
    write_text(run_dir / RUN_FILE, _as_json(record))


def create_record(run_dir: Path, record: RunRecord) -> None:
    """Write the first `run.json` of a directory, and so claim it.

    Raises:
        FileExistsError: when the directory holds a run.
    """
    create_text(run_dir / RUN_FILE, _as_json(record))


def _as_json(record: RunRecord) -> str:
    return json.dumps(record.as_dict(), indent=2, allow_nan=False) + "\n"


def read_record(run_dir: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        RecordError: when the directory has none, or holds something else.
    """
    path = run_dir / RUN_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"a run directory must hold {RUN_FILE}, {str(run_dir)!r} does not.") from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise RecordError(f"{path} must hold a mapping, got {type(data).__name__}.")
    return RunRecord.from_dict(data)
