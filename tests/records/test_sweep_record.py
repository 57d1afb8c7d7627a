"""sweep.json: its schema, that what was written is what is read, and that nothing else is."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepbest.errors import IntegrityError, RecordError
from keepbest.records.plain_data import build, plain
from keepbest.records.run_record import Environment, RunStatus
from keepbest.records.store import RUN_FILE, SWEEP_FILE, read_sweep, sealed, write_sweep
from keepbest.records.sweep_record import SCHEMA_VERSION, SweepJob, SweepRecord

ENVIRONMENT = Environment("0" * 40, False, {"torch": "2.13.0"}, ["keepbest", "train", "-m"], "host", "/home/me")
SHARED = SweepJob(0, "0", ["seed=1", "a.b=2"], "ab" * 32, "trajectories/ab12", None, RunStatus.COMPLETED)
ALONE = SweepJob(1, "1", [], "cd" * 32, None, "it has no seed", RunStatus.PENDING)
SWEEP = SweepRecord("2026-11-22_10-00-00_abc123", ["-m", "seed=1,2"], ENVIRONMENT, [SHARED, ALONE])


def test_the_keys_of_the_schema_stand_in_its_order():
    data = SWEEP.as_dict()
    assert list(data) == ["schema_version", "id", "arguments", "environment", "jobs"]
    assert list(data["jobs"][0]) == [
        "number", "directory", "overrides", "config_sha256", "trajectory", "alone", "status",
    ]  # fmt: skip
    assert data["schema_version"] == SCHEMA_VERSION == 1
    assert [job["status"] for job in data["jobs"]] == ["completed", "pending"]
    assert data["jobs"][1]["trajectory"] is None, "what there is not is null"


TEXT = st.text(max_size=20)
JOBS = st.builds(
    SweepJob, st.just(0), TEXT, st.lists(TEXT, max_size=3), TEXT, st.none() | TEXT, st.none() | TEXT,
    st.sampled_from(RunStatus),
)  # fmt: skip


@given(jobs=st.lists(JOBS, max_size=4), name=TEXT, arguments=st.lists(TEXT, max_size=3))
def test_what_was_written_is_what_is_read(tmp_path_factory, jobs, name, arguments):
    numbered = [dataclasses.replace(job, number=2 * number) for number, job in enumerate(jobs)]
    record = SweepRecord(name, arguments, ENVIRONMENT, numbered)
    assert SweepRecord.from_dict(json.loads(json.dumps(record.as_dict()))) == record
    directory = tmp_path_factory.getbasetemp()
    write_sweep(directory, record)
    assert read_sweep(directory) == record


def with_value(path: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(SWEEP.as_dict())
    *above, last = path.split(".")
    node: Any = data
    for key in above:
        node = node[int(key) if key.isdigit() else key]
    node[last] = value
    return data


WRONG: dict[str, tuple[str, Any, str]] = {
    "another version": ("schema_version", 2, r"schema_version of a sweep must be 1, got 2\. Open the sweep with"),
    "no version": ("schema_version", None, r"schema_version of a sweep must be 1, got None"),
    "an id": ("id", 7, r"sweep\.id must be of type str, got 7"),
    "arguments": ("arguments", "seed=1", r"sweep\.arguments must be a list, got 'seed=1'"),
    "one argument": ("arguments", [1], r"sweep\.arguments\[0\] must be of type str, got 1"),
    "jobs": ("jobs", {"0": {}}, r"sweep\.jobs must be a list"),
    "a job": ("jobs", [7], r"sweep\.jobs\[0\] must be a mapping, got 7"),
    "an empty job": ("jobs", [{}], r"sweep\.jobs\[0\] must hold every key of the schema, missing: number, directory"),
    "a number": ("jobs.1.number", "1", r"sweep\.jobs\[1\]\.number must be of type int, got '1'"),
    "a truth value for a number": ("jobs.1.number", True, r"sweep\.jobs\[1\]\.number must be of type int, got True"),
    "a number twice": ("jobs.1.number", 0, r"must have numbers of their own, in order and from 0 on, got \[0, 0\]"),
    "numbers out of order": ("jobs.0.number", 5, r"must have numbers of their own, in order .* got \[5, 1\]"),
    "a negative number": ("jobs.0.number", -1, r"must have numbers of their own, in order .* got \[-1, 1\]"),
    "a status": ("jobs.0.status", "done", r"sweep\.jobs\[0\]\.status must be one of pending, running, completed"),
    "a trajectory": ("jobs.0.trajectory", ["x"], r"sweep\.jobs\[0\]\.trajectory must be of type str"),
    "an override": ("jobs.0.overrides", [None], r"sweep\.jobs\[0\]\.overrides\[0\] must be of type str, got None"),
    "an environment": ("environment", None, r"sweep\.environment must be a mapping, got None"),
}


@pytest.mark.parametrize(("path", "value", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_the_schema_is_refused_by_name(path, value, message):
    with pytest.raises(RecordError, match=message):
        SweepRecord.from_dict(with_value(path, value))


@pytest.mark.parametrize("key", ["id", "arguments", "environment", "jobs"])
def test_a_missing_key_is_named(key):
    data = SWEEP.as_dict()
    del data[key]
    with pytest.raises(RecordError, match=f"sweep must hold every key of the schema, missing: {key}"):
        SweepRecord.from_dict(data)


def test_a_directory_without_a_sweep_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"a sweep directory must hold sweep\.json"):
        read_sweep(tmp_path)


def test_a_flipped_bit_is_refused_in_every_byte(tmp_path):
    write_sweep(tmp_path, SWEEP)
    path = tmp_path / SWEEP_FILE
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises((IntegrityError, RecordError), match="checksum"):
            read_sweep(tmp_path)


def test_a_damaged_sweep_opens_with_trust_only_and_says_so(tmp_path):
    write_sweep(tmp_path, SWEEP)
    path = tmp_path / SWEEP_FILE
    whole = path.read_text()
    for damaged in (whole[:100], "", whole.replace("abc123", "abc124")):
        path.write_text(damaged)
        with pytest.raises((IntegrityError, RecordError), match=r"keepbest\.open_sweep\(\.\.\., trust=True\) reads it"):
            read_sweep(tmp_path)
    assert read_sweep(tmp_path, verify=False).id.endswith("abc124")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / SWEEP_FILE).write_text(sealed({"id": "a run"}))
    with pytest.raises(RecordError, match="schema_version of a sweep must be 1, got None"):
        read_sweep(tmp_path)


def test_a_message_does_not_repeat_all_that_it_refuses(tmp_path):
    (tmp_path / SWEEP_FILE).write_text(sealed({"schema_version": "x" * 10**6}))
    with pytest.raises(RecordError, match=r"sweep\.json is far from the schema: .{,600}$"):
        read_sweep(tmp_path)


def test_a_sweep_of_a_thousand_jobs_is_read_in_no_time(tmp_path):
    jobs = [dataclasses.replace(SHARED, number=number, directory=str(number)) for number in range(1000)]
    write_sweep(tmp_path, dataclasses.replace(SWEEP, jobs=jobs))
    assert read_sweep(tmp_path).jobs == jobs
    assert sorted(path.name for path in tmp_path.iterdir()) == [SWEEP_FILE]
    assert RUN_FILE != SWEEP_FILE


# Plain data, of which both records are made.


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    ratio: float
    kind: Literal["a", "b"]


@dataclass(frozen=True)
class Outer:
    colour: Colour
    inner: Inner | None
    several: list[Inner]
    named: dict[str, float]
    anything: Any
    count: int | None


OUTER = Outer(Colour.RED, Inner(0.5, "a"), [Inner(1.0, "b")], {"x": 2.0}, [1, {"y": None}], 3)


def test_a_dataclass_survives_the_way_through_json():
    assert build(Outer, json.loads(json.dumps(plain(OUTER), allow_nan=False)), "it") == OUTER
    empty = Outer(Colour.BLUE, None, [], {}, None, None)
    assert build(Outer, json.loads(json.dumps(plain(empty))), "it") == empty


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), 1e308, -0.0, 5e-324])
def test_every_number_survives(number):
    found = build(Inner, json.loads(json.dumps(plain(Inner(number, "a")), allow_nan=False)), "it").ratio
    assert (found, math.copysign(1, found)) == (number, math.copysign(1, number))


def test_what_is_no_number_survives():
    assert math.isnan(build(Inner, plain(Inner(float("nan"), "a")), "it").ratio)


FAULTS: dict[str, tuple[Any, Any, str]] = {
    "a missing key": (Outer, {}, r"it must hold every key of the schema, missing: colour, inner"),
    "no mapping": (Inner, [], r"it must be a mapping, got \[\]"),
    "an enum": (Colour, "green", r"it must be one of red, blue, got 'green'"),
    "an enum's list": (Colour, ["red"], r"it must be one of red, blue, got \['red'\]"),
    "a literal": (Inner, {"ratio": 1, "kind": "c"}, r"it\.kind must be one of 'a', 'b', got 'c'"),
    "a text for a number": (float, "1.0", r"it must be a number, got '1\.0'"),
    "a truth value for a number": (float, True, r"it must be a number, got True"),
    "a number that is too large": (float, 10**400, r"it must be a number that a float can hold, got a far larger one"),
    "a fraction for a whole number": (int | None, 1.0, r"it must be of type int, got 1\.0"),
    "a value in a mapping": (dict[str, float], {"a": None}, r"it\.a must be a number, got None"),
    "a mapping": (dict[str, float], [], r"it must be a mapping, got \[\]"),
    "an item of a list": (list[Inner], [{"ratio": 1}], r"it\[0\] must hold every key of the schema, missing: kind"),
}


@pytest.mark.parametrize(("kind", "value", "message"), FAULTS.values(), ids=FAULTS)
def test_a_value_of_the_wrong_type_is_named(kind, value, message):
    with pytest.raises(RecordError, match=message):
        build(kind, value, "it")


def test_a_path_of_a_record_is_not_followed(tmp_path: Path):
    """A record may say anything; reading it looks at nothing but the one file."""
    record = dataclasses.replace(SWEEP, jobs=[dataclasses.replace(SHARED, directory="../../etc")])
    write_sweep(tmp_path, record)
    assert read_sweep(tmp_path).jobs[0].directory == "../../etc"
