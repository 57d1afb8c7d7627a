"""members.json: whose training a directory holds, wherever it was moved."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepbest.errors import RecordError
from keepbest.stopping.policy import StoppingPolicy
from keepbest.sweeping.members import MEMBERS_FILE, Member, Members, is_shared, read_members, write_members


@pytest.fixture
def sweep(tmp_path):
    """A sweep's directory with two members and their training; gives the training's directory and the members."""
    training = tmp_path / "sweep" / "trajectories" / "ab12"
    training.mkdir(parents=True)
    policies = [StoppingPolicy(patience=2, min_delta=1e-3), None]
    members = tuple(Member(tmp_path / "sweep" / str(number), policy) for number, policy in enumerate(policies))
    return training, Members("ab12", members, check_on_train_epoch_end=True, strict=False)


def test_what_was_written_is_what_is_read(sweep):
    training, members = sweep
    assert not is_shared(training)
    write_members(training, members)
    assert is_shared(training)
    assert read_members(training) == members
    assert [path.name for path in training.iterdir()] == [MEMBERS_FILE]


NUMBER = st.floats(allow_nan=False, allow_infinity=False)
POLICIES = st.builds(
    StoppingPolicy,
    mode=st.sampled_from(["min", "max"]),
    patience=st.integers(0, 10**6),
    min_delta=NUMBER.map(abs),
    baseline=st.none() | NUMBER,
    start_from_epoch=st.integers(0, 100),
    stopping_threshold=st.none() | NUMBER,
    check_finite=st.booleans(),
    min_epochs=st.integers(0, 100),
)


@given(
    policies=st.lists(st.none() | POLICIES, max_size=5), at_epoch_end=st.none() | st.booleans(), strict=st.booleans()
)
def test_every_policy_survives(tmp_path_factory, policies, at_epoch_end, strict: bool):
    directory = tmp_path_factory.getbasetemp() / "every policy"
    directory.mkdir(exist_ok=True)
    members = tuple(Member(directory / str(number), policy) for number, policy in enumerate(policies))
    written = Members("x", members, check_on_train_epoch_end=at_epoch_end, strict=strict)
    write_members(directory, written)
    assert read_members(directory) == written


def test_a_moved_sweep_finds_its_members(sweep, tmp_path):
    training, members = sweep
    write_members(training, members)
    shutil.move(tmp_path / "sweep", tmp_path / "moved")
    found = read_members(tmp_path / "moved" / "trajectories" / "ab12")
    assert [member.directory for member in found.all] == [tmp_path / "moved" / "0", tmp_path / "moved" / "1"]
    assert [member.policy for member in found.all] == [member.policy for member in members.all]


def test_the_directory_may_be_named_from_anywhere(sweep, tmp_path, monkeypatch):
    training, members = sweep
    write_members(training, members)
    monkeypatch.chdir(tmp_path / "sweep")
    assert read_members(training.relative_to(tmp_path / "sweep")) == members


WRONG = {
    "no file": (None, "No such file"),
    "no text": (b"\xff", "'utf-8' codec"),
    "no json": ("{", "Expecting property name"),
    "a list": ([], "list indices must be integers"),
    "another version": ({"schema_version": 2}, "its schema_version must be 1, got 2"),
    "a missing key": ({"strict": ...}, "'strict'"),
    "no members": ({"members": None}, "'NoneType' object is not iterable"),
    "a member that is none": ({"members": [7]}, "'int' object is not subscriptable"),
    "a member without a directory": ({"members": [{"policy": None}]}, "'directory'"),
    "a directory that is none": ({"members": [{"policy": None, "directory": 7}]}, "directory must be of type str"),
    "a policy of other settings": (
        {"members": [{"directory": "a", "policy": {"surprise": 1}}]}, "unexpected keyword argument 'surprise'"),
    "a policy that cannot work": (
        {"members": [{"directory": "a", "policy": {"patience": -1}}]}, "patience must be a whole number"),
    "a text for a truth value": ({"strict": "false"}, "strict must be of type bool, got 'false'"),
    "a number for a truth value": ({"check_on_train_epoch_end": 1}, "check_on_train_epoch_end must be of type bool"),
    "a fingerprint that is none": ({"fingerprint": 7}, "fingerprint must be of type str, got 7"),
    "nesting": ("[" * 100_000, "recursion"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_something_else_is_refused_with_its_name(sweep, change, message):
    training, members = sweep
    write_members(training, members)
    path = training / MEMBERS_FILE
    if change is None:
        path.unlink()
    elif isinstance(change, dict):
        content = {**json.loads(path.read_text()), **change}
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
    else:
        path.write_bytes(change if isinstance(change, bytes) else str(change).encode())
    with pytest.raises(RecordError, match=rf"members\.json cannot be read as the members of a training: .*{message}"):
        read_members(training)
