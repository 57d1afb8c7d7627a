"""The record of a run: `run.json`, schema version 1."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from keepbest.errors import RecordError

SCHEMA_VERSION = 1


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
    """The state at the end of the last whole epoch, from which the training can be resumed."""

    path: str
    sha256: str
    bytes: int
    epoch: int


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
class Timing:
    """When the run ran: times in ISO 8601 with the time zone, duration in seconds, whole epochs trained."""

    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    epochs_trained: int | None = None


@dataclass(frozen=True)
class RunRecord:
    """All that is known about a run. None means that it did not happen.

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
    schema_version: int = SCHEMA_VERSION

    def as_dict(self) -> dict[str, Any]:
        """Return plain data in the order of the schema; numbers that JSON lacks become "nan", "inf" and "-inf"."""
        data = {key: getattr(self, key) for key in _KEY_ORDER}
        return typing.cast("dict[str, Any]", _plain(data))

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
        return typing.cast("RunRecord", _build(cls, data, "record"))


_KEY_ORDER = (
    "schema_version", "id", "status", "error", "objective", "seed", "config_sha256",
    "best_model_path", "best_model_score", "best_epoch", "best_step", "best_sha256", "best_bytes",
    "last", "verified", "stopping", "policy_best", "test", "trajectory", "environment", "timing",
)  # fmt: skip


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _build(kind: Any, value: Any, where: str) -> Any:
    """Turn plain data into `kind`: a dataclass, an enum, a union with None, a container or a scalar."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _build(next(a for a in arguments if a is not type(None)), value, where)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if origin is Literal:
        return _expect(value in arguments, value, where, f"one of {', '.join(map(repr, arguments))}")
    if origin is dict:
        _expect(isinstance(value, dict), value, where, "a mapping")
        return {key: _build(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is list:
        _expect(isinstance(value, list), value, where, "a list")
        return [_build(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    if issubclass(kind, Enum):
        choices = [item.value for item in kind]
        return kind(_expect(value in choices, value, where, f"one of {', '.join(choices)}"))
    return _build_scalar(kind, value, where)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, Mapping), value, where, "a mapping")
    hints = typing.get_type_hints(kind)
    missing = [item.name for item in dataclasses.fields(kind) if item.name not in value]
    if missing:
        raise RecordError(f"{where} must hold every key of the schema, missing: {', '.join(missing)}.")
    return kind(**{name: _build(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})


def _build_scalar(kind: type, value: Any, where: str) -> Any:
    if kind is float:
        if value in ("nan", "inf", "-inf"):
            return float(value)
        _expect(isinstance(value, (int, float)) and not isinstance(value, bool), value, where, "a number")
        try:
            return float(value)
        except OverflowError:
            raise RecordError(f"{where} must be a number that a float can hold, got a far larger one.") from None
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return _expect(fits, value, where, f"of type {kind.__name__}")


def _expect(holds: bool, value: Any, where: str, what: str) -> Any:
    if not holds:
        raise RecordError(f"{where} must be {what}, got {value!r}.")
    return value
