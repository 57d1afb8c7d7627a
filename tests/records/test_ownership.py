"""Who holds a directory: a member of a shared training belongs to whoever trains for it."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from keepbest.errors import OwnedError
from keepbest.records.ownership import as_it_stands, owned
from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus, TrajectoryReference
from keepbest.records.store import read_record, write_record, write_sweep
from keepbest.records.sweep_record import SweepRecord


def environment(pid: int | None) -> Environment:
    return Environment(None, None, {}, [], socket.gethostname(), "/", pid=pid)


def member_of(sweep: Path, reference: str) -> Path:
    """Write a sweep with a training and a member that is being trained."""
    (sweep / "trajectories" / "x").mkdir(parents=True)
    write_sweep(sweep, SweepRecord("s", [], environment(None), []))
    (sweep / "0").mkdir()
    record = RunRecord(
        "0",
        RunStatus.RUNNING,
        Objective("val_loss", "min"),
        None,
        environment(os.getpid()),
        trajectory=TrajectoryReference("f", 2, reference),
    )
    write_record(sweep / "0", record)
    return sweep / "0"


def status_of(run_dir: Path) -> RunStatus:
    return as_it_stands(run_dir, read_record(run_dir)).status


def test_a_member_is_running_and_held_as_long_as_its_training_is(tmp_path: Path) -> None:
    member = member_of(tmp_path / "s", "../trajectories/x")
    with owned(tmp_path / "s" / "trajectories" / "x"):
        assert status_of(member) is RunStatus.RUNNING
        with (
            pytest.raises(OwnedError, match=rf"is held by process {os.getpid()} on {socket.gethostname()}"),
            owned(member),
        ):
            pass
    assert status_of(member) is RunStatus.INTERRUPTED
    with owned(member):
        pass


@pytest.mark.parametrize(
    "reference",
    ["{other}", "../../other", "..", ".", "../linked/x", "a\0b", "a" * 5000, "\udc80", "../../../../../../.."],
)
def test_a_record_is_followed_to_no_place_outside_of_its_sweep(reference: str, tmp_path: Path) -> None:
    """The record may be anybody's; a directory of another place is not even looked at."""
    other = tmp_path / "other"
    (other / "x").mkdir(parents=True)
    member = member_of(tmp_path / "s", "../trajectories/x")
    (tmp_path / "s" / "linked").symlink_to(other)
    record = read_record(member)
    text = reference.format(other=other)
    record = dataclasses.replace(record, trajectory=TrajectoryReference("f", 2, text))
    with owned(other), owned(other / "x"), owned(tmp_path / "s"):
        assert as_it_stands(member, record).status is RunStatus.INTERRUPTED


def test_who_is_named_lives(tmp_path: Path) -> None:
    """A sweep's record names the command that wrote it last, which may be an earlier one."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid, owner in ((os.getpid(), f"process {os.getpid()} on"), (gone.pid, "another process"), (None, "another")):
        write_sweep(tmp_path, SweepRecord("s", [], environment(pid), []))
        with owned(tmp_path), pytest.raises(OwnedError, match=f"is held by {owner}") as refusal, owned(tmp_path):
            pass
        assert refusal.value.exit_status == 2
