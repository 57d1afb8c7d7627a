"""The record of a sweep: `sweep.json`, schema version 1."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keepbest.errors import RecordError
from keepbest.records.plain_data import build, plain
from keepbest.records.run_record import Environment, RunStatus

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep.

    Args:
        number: its number; also its directory's name, unless `hydra.sweep.subdir` says otherwise.
        directory: its run directory, relative to the sweep's.
        overrides: what makes it this job, as Hydra lists them.
        config_sha256: of its resolved config and environment, see `keepbest.sweeping.fingerprint.config_hash`.
        trajectory: the directory of the training that it shares, relative to the sweep's; None when it has its own.
        alone: why it must have its own; None where it may share one.
        status: where it stood when this was written; its own record knows better.
    """

    number: int
    directory: str
    overrides: list[str]
    config_sha256: str
    trajectory: str | None
    alone: str | None
    status: RunStatus


@dataclass(frozen=True)
class SweepRecord:
    """All that is planned in a sweep, and how far it has come.

    Args:
        id: the sweep's name.
        arguments: the command line after `keepbest train`, with which it is resumed.
        environment: what the sweep was started on.
        jobs: in the order of their numbers.
    """

    id: str
    arguments: list[str]
    environment: Environment
    jobs: list[SweepJob]
    schema_version: int = SCHEMA_VERSION

    def as_dict(self) -> dict[str, Any]:
        """Return plain data in the order of the schema."""
        names = [field.name for field in dataclasses.fields(self)]
        return {name: plain(getattr(self, name)) for name in ("schema_version", *names)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SweepRecord:
        """Read what `as_dict` returned.

        Raises:
            RecordError: for another schema version, a missing key or a value of the wrong type, naming the key; for
                jobs whose numbers are not in order, each its own.
        """
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise RecordError(
                f"schema_version of a sweep must be {SCHEMA_VERSION}, got {version!r}. "
                "Open the sweep with the version of keepbest that wrote it."
            )
        record = typing.cast("SweepRecord", build(cls, data, "sweep"))
        numbers = [job.number for job in record.jobs]
        if numbers != sorted({number for number in numbers if number >= 0}):
            raise RecordError(
                f"the jobs of a sweep must have numbers of their own, in order and from 0 on, got {numbers}."
            )
        return record
