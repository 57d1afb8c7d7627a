"""`keepbest train -m` and `keepbest resume SWEEP`, as a user types them."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

GRID = ("callbacks.early_stopping.patience=1,3", "seed=1,2")
SMALL = (
    "trainer=cpu",
    "model.hidden_sizes=[16]",
    "data.batch_size=128",
    "model.optimizer.lr=0.03",
    "model.dropout=0.1",
)
FOUR = ("0", "1", "2", "3")
FAILS = """
import os
from lightning.pytorch import Callback

class Fails(Callback):
    '''Ends the process, as memory that runs out does, where it is told to.'''
    def __init__(self, how):
        self.how = how
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1 and self.how == "exit":
            os._exit(7)
        if trainer.current_epoch == 1 and (self.how == "raise" or os.path.exists(self.how)):
            raise RuntimeError("no luck")
"""


def statuses(sweep, record_of):
    return [record_of(sweep / number)["status"] for number in FOUR]


def test_members_equal_jobs_of_their_own_and_files_are_those_of_hydra(keepbest, tmp_path, differences, record_of):
    done = keepbest(["train", "-m", *SMALL, *GRID, "hydra.sweep.dir=s", "hydra.sweeper.prove=2"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 jobs, 2 trainings of at most 200 epochs instead of 400" in done.stdout
    assert "proved: 2 trained on their own gave the same, bit for bit" in done.stdout
    sweep = tmp_path / "s"
    assert len(list((sweep / "trajectories").iterdir())) == 2
    alone = keepbest(
        ["train", *SMALL, "callbacks.early_stopping.patience=3", "seed=1", "hydra.run.dir=alone"], tmp_path
    )
    assert alone.returncode == 0
    assert differences(sweep / "2", tmp_path / "alone") == []
    record = record_of(sweep / "2")
    training = (sweep / "2" / record["trajectory"]["directory"]).resolve()
    assert record["trajectory"]["members"] == 2
    assert (training / "curve.png").stat().st_size > 10_000
    assert {path.name for path in (sweep / "2" / ".hydra").iterdir()} == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    plan = json.loads((sweep / "sweep.json").read_text())
    assert [job["status"] for job in plan["jobs"]] == ["completed"] * 4

    larger = ("callbacks.early_stopping.patience=1,3,5", "seed=1,2")
    before = {number: (sweep / number / "run.json").read_bytes() for number in FOUR}
    extended = keepbest(["train", "-m", *SMALL, *larger, "hydra.sweep.dir=s"], tmp_path)
    assert extended.returncode == 0, extended.stderr
    assert "6 jobs, 4 with their results, 2 trainings" in extended.stdout
    assert {number: (sweep / number / "run.json").read_bytes() for number in FOUR} == before
    assert record_of(sweep / "4")["status"] == "completed"

    other = keepbest(["train", "-m", *SMALL[:-1], *GRID, "model.dropout=0.1", "hydra.sweep.dir=s"], tmp_path)
    assert other.returncode == 0, other.stderr
    assert "4 jobs, 4 with their results, 0 trainings" in other.stdout, "the same jobs, said in another order"
    refused = keepbest(["resume", "s", "seed=4"], tmp_path)
    assert refused.returncode == 2
    assert "the jobs of a sweep go on as they were planned, got 'seed=4'" in refused.stderr


def test_a_job_that_dies_stops_no_other_and_is_told(keepbest, tmp_path, record_of):
    (tmp_path / "fails.py").write_text(FAILS)
    fails = "+callbacks.fails={_target_: fails.Fails, how: none}"
    grid = ("callbacks.fails.how=exit,raise,none", "callbacks.early_stopping.patience=1,2")
    done = keepbest(["train", "-m", *SMALL, fails, *grid, "hydra.sweep.dir=s"], tmp_path)
    assert done.returncode == 1
    found = [record_of(tmp_path / "s" / str(number)) for number in range(6)]
    assert [record["status"] for record in found] == ["failed"] * 4 + ["completed"] * 2
    assert "ended with status 7" in found[0]["error"]["message"]
    assert found[2]["error"]["message"] == "no luck"
    assert done.stderr.count("no luck") == 1
    assert "ended with status 7" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_after_a_failure_nothing_more_is_started_if_that_was_asked_for_and_a_resume_does_the_rest(
    keepbest, tmp_path, record_of
):
    (tmp_path / "fails.py").write_text(FAILS)
    (tmp_path / "bad").touch()
    fails = "+callbacks.fails={_target_: fails.Fails, how: bad}"
    done = keepbest(
        [
            "train",
            "-m",
            *SMALL,
            fails,
            "trainer.max_epochs=3",
            "seed=1,2",
            "hydra.sweep.dir=s",
            "hydra.sweeper.fail_fast=true",
            "hydra.sweeper.max_batch_size=1",
        ],
        tmp_path,
    )
    assert done.returncode == 1
    assert not (tmp_path / "s" / ".stop").exists()
    assert [record_of(tmp_path / "s" / number)["status"] for number in "01"] == ["failed", "pending"]
    (tmp_path / "bad").unlink()
    done = keepbest(["resume", "s"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert [record_of(tmp_path / "s" / number)["status"] for number in "01"] == ["completed", "completed"]


def test_a_sweep_that_is_killed_goes_on_to_what_it_would_have_been(keepbest, tmp_path, differences, record_of):
    settings = [*SMALL, *GRID, "callbacks.early_stopping.min_delta=0"]
    whole = keepbest(["train", "-m", *settings, "hydra.sweep.dir=whole"], tmp_path)
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "keepbest", "train", "-m", *settings, "hydra.sweep.dir=killed"]
    for number, expected in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        _wait_for_training(tmp_path / "killed")
        below = _processes_below(process.pid)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == expected
        if number == signal.SIGTERM:
            assert "go on with this sweep by `keepbest resume killed`" in errors
            assert "Traceback" not in errors
            assert "running" not in statuses(tmp_path / "killed", record_of)
        else:
            for pid in below:
                with suppress(ProcessLookupError):  # what noticed the death of its parent has ended by itself
                    os.kill(pid, signal.SIGKILL)
    done = keepbest(["resume", "killed"], tmp_path)
    assert done.returncode == 0, done.stderr
    for number in FOUR:
        assert differences(tmp_path / "whole" / number, tmp_path / "killed" / number) == []


def _wait_for_training(sweep):
    """Wait until one of its trainings has written a checkpoint that is not yet the last of all."""
    deadline = time.monotonic() + 60
    known = {path: path.stat().st_mtime_ns for path in sweep.glob("trajectories/*/checkpoints/last.ckpt")}
    while time.monotonic() < deadline:
        for path in sweep.glob("trajectories/*/checkpoints/last.ckpt"):
            if known.get(path) != path.stat().st_mtime_ns:
                return
        time.sleep(0.02)
    raise AssertionError(f"no training began in {sorted(sweep.iterdir())}")


def _processes_below(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [process for child in map(int, found) for process in (child, *_processes_below(child))]
