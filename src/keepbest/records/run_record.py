"""The record of a run: `run.json`, schema version 1."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from keepbest.errors import RecordError
from keepbest.records.plain_data import build, plain

SCHEMA_VERSION = 1
_ADDED_LATER = {"may_be_missing": True}  # a field that records of the same schema lack when they are older


class RunStatus(str, Enum):
    """Where a run stands. Only `completed` means that its result can be relied on."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Objective:
    """What the run optimises: the metric's name, and which direction is better."""

    monitor: str
    mode: Literal["min", "max"]


@dataclass(frozen=True)
class Failure:
    """The exception that ended a run."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True)
class LastCheckpoint:
    """The state from which the training can be resumed: after `step` optimizer steps, in or at the end of `epoch`.

    `ended_early` says that it is the end of an epoch that a stop has cut short, and not the moment of the stop: a
    training that goes on from there is not one that was never stopped. Null in records of before these were kept.
    """

    path: str
    sha256: str
    bytes: int
    epoch: int
    step: int | None = field(default=None, metadata=_ADDED_LATER)
    ended_early: bool | None = field(default=None, metadata=_ADDED_LATER)


@dataclass(frozen=True)
class Verification:
    """The restored best weights, evaluated again: their score, its distance to the recorded one, and equality."""

    score: float
    abs_diff: float
    exact: bool


@dataclass(frozen=True)
class Stopping:
    """How the training ended.

    `policy` is null when early stopping was off, `stopped_epoch` when the policy did not stop the training. `reason`
    is a value of `keepbest.stopping.reasons.StopReason`; `checks` counts the evaluations of the monitored metric.
    """

    policy: dict[str, Any] | None
    stopped_epoch: int | None
    checks: int
    reason: str | None
    message: str | None


@dataclass(frozen=True)
class PolicyBest:
    """The last value that the stopping policy accepted as an improvement by `min_delta`."""

    epoch: int
    score: float


@dataclass(frozen=True)
class TrajectoryReference:
    """The shared training a member belongs to; `directory` is relative to the run's."""

    fingerprint: str
    members: int
    directory: str


@dataclass(frozen=True)
class Environment:
    """What the run ran on. `cwd` is where the user's own modules were imported from, `pid` the process that trains."""

    git_sha: str | None
    git_dirty: bool | None
    versions: dict[str, str]
    argv: list[str]
    host: str
    cwd: str
    threads: int | None = None
    pid: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """The best checkpoint, evaluated again after the run: on which split, of which data, and what came out.

    `data` is the config of other data than the run's, null for its own; `best_sha256` tells which checkpoint it was,
    for a run that goes on may get a better one. `finished` is in ISO 8601 with the time zone. `samples` is how many
    were evaluated, null where that cannot be told; `cwd` is where the relative paths in `data` start. `overlap` is how
    many of them were found among the samples that the model was trained on, null where that is not known: of the
    run's own data it is not looked at, other data need not be comparable, and training may have been limited to some
    batches. `repeated` says whether the recorded score came out again, within what the run's verification allows; null
    where there is nothing to compare.
    """

    split: str
    data: dict[str, Any] | None
    metrics: dict[str, float]
    finished: str
    device: str
    best_sha256: str | None
    keepbest_version: str | None = None
    samples: int | None = field(default=None, metadata=_ADDED_LATER)
    cwd: str | None = field(default=None, metadata=_ADDED_LATER)
    overlap: int | None = field(default=None, metadata=_ADDED_LATER)
    repeated: bool | None = field(default=None, metadata=_ADDED_LATER)


@dataclass(frozen=True)
class Timing:
    """When the run ran: times in ISO 8601 with the time zone, duration in seconds, whole epochs trained."""

    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    epochs_trained: int | None = None


@dataclass(frozen=True)
class RunRecord:
    """All that is known about a run. None means that it did not happen.

    `config_sha256` is the hash of `config.yaml`; `metrics_sha256` that of `metrics.csv`, which grows while a run goes
    on: it is null until the run has its result. `evaluations` grows after the run, by `keepbest evaluate`.

    Paths are relative to the run directory, so that a moved or copied run still opens.
    """

    id: str
    status: RunStatus
    objective: Objective
    seed: int | None
    environment: Environment
    config_sha256: str | None = None
    error: Failure | None = None
    best_model_path: str | None = None
    best_model_score: float | None = None
    best_epoch: int | None = None
    best_step: int | None = None
    best_sha256: str | None = None
    best_bytes: int | None = None
    last: LastCheckpoint | None = None
    verified: Verification | None = None
    stopping: Stopping | None = None
    policy_best: PolicyBest | None = None
    test: dict[str, float] | None = None
    trajectory: TrajectoryReference | None = None
    timing: Timing = field(default_factory=Timing)
    metrics_sha256: str | None = field(default=None, metadata=_ADDED_LATER)
    evaluations: list[Evaluation] = field(default_factory=list, metadata=_ADDED_LATER)
    schema_version: int = SCHEMA_VERSION

    def as_dict(self) -> dict[str, Any]:
        """Return plain data in the order of the schema; numbers that JSON lacks become "nan", "inf" and "-inf"."""
        data = {key: getattr(self, key) for key in _KEY_ORDER}
        return typing.cast("dict[str, Any]", plain(data))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunRecord:
        """Read what `as_dict` returned.

        Raises:
            RecordError: for another schema version, a missing key or a value of the wrong type, naming the key.
        """
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise RecordError(
                f"schema_version must be {SCHEMA_VERSION}, got {version!r}. "
                "Open the run with the version of keepbest that wrote it."
            )
        return typing.cast("RunRecord", build(cls, data, "record"))


_KEY_ORDER = (
    "schema_version", "id", "status", "error", "objective", "seed", "config_sha256", "metrics_sha256",
    "best_model_path", "best_model_score", "best_epoch", "best_step", "best_sha256", "best_bytes",
    "last", "verified", "stopping", "policy_best", "test", "trajectory", "environment", "timing", "evaluations",
)  # fmt: skip
