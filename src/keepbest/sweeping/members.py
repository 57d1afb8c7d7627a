"""The members of a trajectory: jobs that differ only in when they stop."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keepbest.errors import KeepbestError, RecordError
from keepbest.records.atomic import write_text
from keepbest.records.plain_data import build
from keepbest.records.store import MEMBERS_FILE
from keepbest.stopping.policy import StoppingPolicy

_VERSION = 1


@dataclass(frozen=True)
class Member:
    """One of the jobs that share a training.

    Args:
        directory: its run directory, absolute.
        policy: when it stops; None where only the trainer's limits end it.
    """

    directory: Path
    policy: StoppingPolicy | None


@dataclass(frozen=True)
class Members:
    """Whose training a directory holds.

    Args:
        fingerprint: the hash of what their configs have in common.
        all: the jobs, in the order of the sweep.
        check_on_train_epoch_end: when all of them check, as in `keepbest.EarlyStopping`.
        strict: whether a metric that is missing is an error, as in `keepbest.EarlyStopping`.
    """

    fingerprint: str
    all: tuple[Member, ...]
    check_on_train_epoch_end: bool | None = None
    strict: bool = True


def write_members(directory: Path, members: Members) -> None:
    """Write `members.json` into the directory of a shared training; paths are relative to it."""
    entries = [
        {
            "directory": Path(os.path.relpath(member.directory, directory)).as_posix(),
            "policy": member.policy.as_dict() if member.policy else None,
        }
        for member in members.all
    ]
    content = {
        "schema_version": _VERSION,
        "fingerprint": members.fingerprint,
        "check_on_train_epoch_end": members.check_on_train_epoch_end,
        "strict": members.strict,
        "members": entries,
    }
    write_text(directory / MEMBERS_FILE, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_members(directory: Path) -> Members:
    """Read `members.json`.

    Raises:
        RecordError: when there is none, or it is something else.
    """
    path = directory / MEMBERS_FILE
    try:
        return _members(directory.absolute(), json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, RecursionError, KeepbestError) as error:
        raise RecordError(f"{path} cannot be read as the members of a training: {error}") from error


def _members(directory: Path, content: Mapping[str, Any]) -> Members:
    if content["schema_version"] != _VERSION:
        raise RecordError(f"its schema_version must be {_VERSION}, got {content['schema_version']!r}.")
    members = tuple(
        Member(
            Path(os.path.normpath(directory / build(str, entry["directory"], "directory"))),
            StoppingPolicy(**entry["policy"]) if entry["policy"] else None,
        )
        for entry in content["members"]
    )
    return Members(
        build(str, content["fingerprint"], "fingerprint"),
        members,
        build(bool | None, content["check_on_train_epoch_end"], "check_on_train_epoch_end"),
        build(bool, content["strict"], "strict"),
    )


def is_shared(directory: Path) -> bool:
    """Return whether a job directory holds a training that several members share."""
    return (directory / MEMBERS_FILE).exists()
