"""The record of a run: its schema, and that what was written is what is read."""

from __future__ import annotations

import copy
import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepbest.errors import RecordError
from keepbest.records.run_record import (
    SCHEMA_VERSION,
    Environment,
    Failure,
    LastCheckpoint,
    Objective,
    PolicyBest,
    RunRecord,
    RunStatus,
    Stopping,
    Timing,
    TrajectoryReference,
    Verification,
)
from keepbest.stopping.policy import StoppingPolicy
from keepbest.stopping.reasons import StopReason

# The promised keys, in their order. More keys may stand beside them in the inner mappings.
SCHEMA: dict[str, list[str] | None] = {
    "schema_version": None,
    "id": None,
    "status": None,
    "error": ["type", "message", "traceback"],
    "objective": ["monitor", "mode"],
    "seed": None,
    "config_sha256": None,
    "metrics_sha256": None,
    "best_model_path": None,
    "best_model_score": None,
    "best_epoch": None,
    "best_step": None,
    "best_sha256": None,
    "best_bytes": None,
    "last": ["path", "sha256", "bytes", "epoch", "step", "ended_early"],
    "verified": ["score", "abs_diff", "exact"],
    "stopping": ["policy", "stopped_epoch", "checks", "reason", "message"],
    "policy_best": ["epoch", "score"],
    "test": None,
    "trajectory": ["fingerprint", "members", "directory"],
    "environment": ["git_sha", "git_dirty", "versions", "argv", "host"],
    "timing": ["started", "finished", "seconds", "epochs_trained"],
    "evaluations": None,
}
ADDED_LATER = ["metrics_sha256", "evaluations"]
MAY_BE_NULL = [
    "error", "seed", "config_sha256", "metrics_sha256",
    "best_model_path", "best_model_score", "best_epoch", "best_step", "best_sha256", "best_bytes",
    "last", "verified", "stopping", "policy_best", "test", "trajectory",
]  # fmt: skip


def test_as_dict_has_the_keys_of_the_schema_in_its_order(complete: RunRecord) -> None:
    data = complete.as_dict()
    assert list(data) == list(SCHEMA)
    for key, inner in SCHEMA.items():
        if inner is not None:
            assert [name for name in data[key] if name in inner] == inner


def test_what_did_not_happen_is_null_and_never_zero(pending: RunRecord) -> None:
    data = pending.as_dict()
    assert {key: data[key] for key in MAY_BE_NULL if key != "seed"} == dict.fromkeys(
        [key for key in MAY_BE_NULL if key != "seed"]
    )
    assert set(data["timing"].values()) == {None}


def test_the_words_of_a_status_are_those_of_the_schema() -> None:
    words = ["pending", "running", "completed", "diverged", "interrupted", "failed"]
    assert [status.value for status in RunStatus] == words


TEXT = st.text(max_size=12)
COUNT = st.integers(0, 10**6)
NUMBER = st.floats()


def nullable(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


POLICIES = st.builds(
    StoppingPolicy, patience=COUNT, min_delta=st.floats(0, 1), baseline=nullable(st.floats(-1, 1))
).map(StoppingPolicy.as_dict)
RECORDS = st.builds(
    RunRecord,
    id=TEXT,
    status=st.sampled_from(RunStatus),
    objective=st.builds(Objective, TEXT, st.sampled_from(["min", "max"])),
    seed=nullable(st.integers(0, 2**32 - 1)),
    config_sha256=nullable(TEXT),
    metrics_sha256=nullable(TEXT),
    environment=st.builds(
        Environment,
        nullable(TEXT),
        nullable(st.booleans()),
        st.dictionaries(TEXT, TEXT, max_size=3),
        st.lists(TEXT, max_size=3),
        TEXT,
        TEXT,
        nullable(COUNT),
    ),
    error=nullable(st.builds(Failure, TEXT, TEXT, TEXT)),
    best_model_path=nullable(TEXT),
    best_model_score=nullable(NUMBER),
    best_epoch=nullable(COUNT),
    best_step=nullable(COUNT),
    best_sha256=nullable(TEXT),
    best_bytes=nullable(COUNT),
    last=nullable(st.builds(LastCheckpoint, TEXT, TEXT, COUNT, COUNT, nullable(COUNT), nullable(st.booleans()))),
    verified=nullable(st.builds(Verification, NUMBER, NUMBER, st.booleans())),
    stopping=nullable(
        st.builds(
            Stopping,
            nullable(POLICIES),
            nullable(COUNT),
            COUNT,
            nullable(st.sampled_from([reason.value for reason in StopReason])),
            nullable(TEXT),
        )
    ),
    policy_best=nullable(st.builds(PolicyBest, COUNT, NUMBER)),
    test=nullable(st.dictionaries(TEXT, NUMBER, max_size=4)),
    trajectory=nullable(st.builds(TrajectoryReference, TEXT, COUNT, TEXT)),
    timing=st.builds(Timing, nullable(TEXT), nullable(TEXT), nullable(st.floats(0, 1e9)), nullable(COUNT)),
)


@given(RECORDS)
@settings(deadline=None)
def test_a_record_survives_json_unchanged(record: RunRecord) -> None:
    """Non-finite metrics included. Compared by repr, in which NaN equals itself."""
    text = json.dumps(record.as_dict(), allow_nan=False)
    assert repr(RunRecord.from_dict(json.loads(text))) == repr(record)


def test_a_score_that_json_writes_as_a_whole_number_is_a_float_again(complete: RunRecord) -> None:
    data = complete.as_dict() | {"best_model_score": 1, "test": {"test_acc": 0}}
    record = RunRecord.from_dict(data)
    assert (type(record.best_model_score), record.test) == (float, {"test_acc": 0.0})


def test_non_finite_metrics_are_words_that_any_json_reader_takes(complete: RunRecord) -> None:
    data = complete.as_dict()
    data["test"] = {"a": "nan", "b": "inf", "c": "-inf"}
    read = RunRecord.from_dict(data).test or {}
    assert math.isnan(read["a"])
    assert (read["b"], read["c"]) == (math.inf, -math.inf)


def test_a_later_versions_extra_key_is_passed_over(complete: RunRecord) -> None:
    assert RunRecord.from_dict(complete.as_dict() | {"comment": "mine"}) == complete


# where, what stands there instead, what the message says
REFUSED: dict[str, tuple[tuple[str, ...], object, str]] = {
    "another version": (("schema_version",), 2, "schema_version must be 1, got 2. Open the run with the version"),
    "version as text": (("schema_version",), "1", "schema_version must be 1, got '1'."),
    "id": (("id",), 3, "record.id must be of type str, got 3."),
    "id, null": (("id",), None, "record.id must be of type str, got None."),
    "status": (("status",), "done", "record.status must be one of pending, running, completed, diverged, "),
    "status, list": (("status",), ["completed"], "record.status must be one of pending"),
    "seed, truth": (("seed",), True, "record.seed must be of type int, got True."),
    "seed, float": (("seed",), 1.0, "record.seed must be of type int, got 1.0."),
    "score, text": (("best_model_score",), "high", "record.best_model_score must be a number, got 'high'."),
    "score, truth": (("best_model_score",), True, "record.best_model_score must be a number, got True."),
    "score, list": (("best_model_score",), [0.1], "record.best_model_score must be a number, got [0.1]."),
    "mode": (("objective", "mode"), "up", "record.objective.mode must be one of 'min', 'max', got 'up'."),
    "objective, null": (("objective",), None, "record.objective must be a mapping, got None."),
    "objective, text": (("objective",), "val_loss", "record.objective must be a mapping, got 'val_loss'."),
    "exact": (("verified", "exact"), 1, "record.verified.exact must be of type bool, got 1."),
    "a test metric": (("test", "test_acc"), None, "record.test.test_acc must be a number, got None."),
    "test": (("test",), [], "record.test must be a mapping, got []."),
    "an argument": (("environment", "argv"), ["a", 1], "record.environment.argv[1] must be of type str, got 1."),
    "arguments": (("environment", "argv"), "a", "record.environment.argv must be a list, got 'a'."),
    "a version of a library": (("environment", "versions", "torch"), 2, "record.environment.versions.torch must be of"),
    "epochs": (("timing", "epochs_trained"), 1.5, "record.timing.epochs_trained must be of type int, got 1.5."),
}


def with_value(data: dict[str, Any], where: tuple[str, ...], value: object) -> dict[str, Any]:
    changed = copy.deepcopy(data)
    inner = changed
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    return changed


@pytest.mark.parametrize(("where", "value", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_value_is_refused_by_its_place(
    complete: RunRecord, where: tuple[str, ...], value: object, message: str
) -> None:
    with pytest.raises(RecordError, match=f"^{re.escape(message)}"):
        RunRecord.from_dict(with_value(complete.as_dict(), where, value))


@pytest.mark.parametrize("key", [key for key in SCHEMA if key not in ("schema_version", *ADDED_LATER)])
def test_a_missing_key_is_named(complete: RunRecord, key: str) -> None:
    data = complete.as_dict()
    del data[key]
    with pytest.raises(RecordError, match=f"^record must hold every key of the schema, missing: {key}\\.$"):
        RunRecord.from_dict(data)


@pytest.mark.parametrize("key", ADDED_LATER)
def test_a_record_of_before_a_key_was_added_is_read(pending: RunRecord, key: str) -> None:
    data = pending.as_dict()
    del data[key]
    assert RunRecord.from_dict(data) == pending


def test_missing_keys_are_named_together_also_inside(complete: RunRecord) -> None:
    data = complete.as_dict()
    data["timing"] = {"started": None, "seconds": None}
    with pytest.raises(RecordError, match=r"^record\.timing must hold .* missing: finished, epochs_trained\.$"):
        RunRecord.from_dict(data)


def test_a_record_of_before_the_last_checkpoint_told_its_step_is_read(complete: RunRecord) -> None:
    data = complete.as_dict()
    del data["last"]["step"], data["last"]["ended_early"]
    last = RunRecord.from_dict(data).last
    assert last is not None
    assert (last.epoch, last.step, last.ended_early) == (12, None, None)


def test_a_record_without_a_version_is_refused(complete: RunRecord) -> None:
    data = complete.as_dict()
    del data["schema_version"]
    with pytest.raises(RecordError, match=f"schema_version must be {SCHEMA_VERSION}, got None"):
        RunRecord.from_dict(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@given(record=RECORDS, key=st.sampled_from(sorted(SCHEMA)), value=JSON)
@settings(deadline=None)
def test_whatever_stands_in_a_record_it_is_read_or_refused(record: RunRecord, key: str, value: object) -> None:
    try:
        RunRecord.from_dict(record.as_dict() | {key: value})
    except RecordError as error:
        assert key in str(error)  # noqa: PT017 - either way is right


def test_a_number_beyond_the_floats_is_refused(complete: RunRecord) -> None:
    with pytest.raises(RecordError, match=r"record\.best_model_score must be"):
        RunRecord.from_dict(complete.as_dict() | {"best_model_score": 10**400})


def test_an_evaluation_of_before_its_samples_were_compared_opens(complete: RunRecord) -> None:
    data = complete.as_dict()
    for entry in data["evaluations"]:
        for key in ("samples", "cwd", "overlap", "repeated"):
            del entry[key]
    assert RunRecord.from_dict(data) == complete
    data["evaluations"][0]["overlap"] = "many"
    with pytest.raises(RecordError, match=r"evaluations\[0\]\.overlap must be of type int, got 'many'"):
        RunRecord.from_dict(data)
