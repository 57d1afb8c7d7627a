"""One command at a time works on a sweep, and one process at a time trains a job of it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import keepbest as kb
from keepbest.cli.resume import main as resume
from keepbest.errors import OwnedError
from keepbest.records.run_record import RunStatus
from keepbest.records.store import read_record, write_record, write_sweep
from keepbest.records.sweep_record import SweepJob, SweepRecord
from keepbest.sweeping.held_sweep import held_sweep

SLOW = """
import time
from lightning.pytorch import Callback

class Slow(Callback):
    '''Takes its time.'''
    def on_train_epoch_start(self, trainer, pl_module):
        time.sleep(0.5)
"""


def test_a_sweep_has_one_command_at_a_time_and_what_it_made_for_nothing_is_gone(tmp_path: Path) -> None:
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    with held_sweep(sweep), pytest.raises(OwnedError, match="held by another process"), held_sweep(sweep):
        pass
    assert not (tmp_path / "outputs").exists()
    with held_sweep(sweep):
        (sweep / "sweep.json").touch()
    with held_sweep(sweep):
        pass
    assert (sweep / "sweep.json").exists()


def test_what_shares_its_training_goes_on_with_its_sweep(share, compose_config, tmp_path, monkeypatch, capsys) -> None:
    training, members = share([], [["callbacks.early_stopping.patience=1"], ["callbacks.early_stopping.patience=2"]])
    monkeypatch.chdir(tmp_path)
    environment = read_record(members[0]).environment
    jobs = [SweepJob(number, str(number), [], "x", "trajectories/x", None, RunStatus.PENDING) for number in (0, 1)]
    write_sweep(tmp_path / "sweep", SweepRecord("sweep", [], environment, jobs))
    assert [path.relative_to(tmp_path).as_posix() for path in (training, *members)] == [
        "sweep/trajectories/x",
        "sweep/0",
        "sweep/1",
    ]
    for path in ("sweep/0", "sweep/trajectories/x"):
        assert resume([path]) == 2
        assert "Go on with the sweep: keepbest resume sweep." in capsys.readouterr().err
        write_record(Path(path), dataclasses.replace(read_record(Path(path)), status=RunStatus.COMPLETED))
        assert resume([path, "callbacks.early_stopping.patience=9"]) == 2
        said = capsys.readouterr().err
        assert "keepbest train -m ... callbacks.early_stopping.patience=9 hydra.sweep.dir=sweep" in said
        assert read_record(Path(path)).status is RunStatus.COMPLETED


def test_a_live_sweep_is_left_alone_and_one_whose_command_was_killed_is_waited_for(keepbest, tmp_path, record_of):
    (tmp_path / "slowly.py").write_text(SLOW)
    command = [
        "train", "-m", "trainer=cpu", "model.hidden_sizes=[16]", "data.batch_size=128", "trainer.max_epochs=60",
        "+callbacks.slow={_target_: slowly.Slow}", "callbacks.early_stopping.patience=50,80", "hydra.sweep.dir=s",
    ]  # fmt: skip
    sweep = tmp_path / "s"
    first = subprocess.Popen(
        [sys.executable, "-m", "keepbest", *command], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    trained: int | None = None
    try:
        trained = _pid_of_training(sweep, record_of)
        plan = (sweep / "sweep.json").read_bytes()
        second = keepbest([*command, "seed=1,2"], tmp_path)
        assert second.returncode == 2
        assert f"is held by process {first.pid} on {socket.gethostname()}" in second.stderr
        assert (sweep / "sweep.json").read_bytes() == plan

        first.send_signal(signal.SIGKILL)
        first.wait()
        assert kb.open_run(sweep / "0").record["status"] == "running"
        refused = keepbest(["resume", "s/0"], tmp_path)
        assert refused.returncode == 2
        assert f"is held by process {trained} on {socket.gethostname()}" in refused.stderr

        waiting = subprocess.Popen(
            [sys.executable, "-m", "keepbest", "resume", "s"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        expected = f"process {trained} on {socket.gethostname()} still trains jobs 0, 1: waiting for it"
        assert any(expected in line for line in waiting.stdout)
        waiting.send_signal(signal.SIGINT)
        _, errors = waiting.communicate(timeout=30)
        assert waiting.returncode == 130, errors
        assert "go on with this sweep by `keepbest resume s`" in errors
        _wait_for_the_end_of(trained)  # it belongs to the sweep that Ctrl-C ends
        assert record_of(sweep / "0")["status"] == "interrupted"
        assert kb.open_run(sweep / "1").record["status"] == "interrupted"
        (tmp_path / "slowly.py").write_text(SLOW.replace("0.5", "0"))
        done = keepbest(["resume", "s"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert [record_of(sweep / number)["status"] for number in "01"] == ["completed"] * 2
    finally:
        first.kill()
        first.wait()
        if trained:
            with suppress(ProcessLookupError):
                os.kill(trained, signal.SIGKILL)


def _wait_for_the_end_of(pid: int) -> None:
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _pid_of_training(sweep: Path, record_of) -> int:
    """Wait until the shared training has written a checkpoint; return the number of its process."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if list(sweep.glob("trajectories/*/checkpoints/last.ckpt")):
            (training,) = (sweep / "trajectories").iterdir()
            return record_of(training)["environment"]["pid"]
        time.sleep(0.05)
    raise AssertionError("no training began")


@pytest.mark.slow
def test_a_proof_that_failed_fails_again_and_a_job_that_fails_on_its_own_is_told(keepbest, tmp_path):
    (tmp_path / "lonely.py").write_text(LONELY)
    command = [
        "train", "-m", "trainer=cpu", "model.hidden_sizes=[16]", "data.batch_size=128", "trainer.max_epochs=3",
        "+callbacks.lonely={_target_: lonely.Lonely}", "callbacks.early_stopping.patience=1,2", "hydra.sweep.dir=s",
    ]  # fmt: skip
    done = keepbest(command, tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "alone").touch()
    failed = keepbest(["resume", "s", "hydra.sweeper.prove=1"], tmp_path)
    assert failed.returncode == 1
    assert re.search(r"job \d on its own failed: RuntimeError: alone", failed.stderr)
    assert "FileNotFoundError" not in failed.stderr
    (tmp_path / "alone").unlink()
    proved = keepbest([*command, "hydra.sweeper.prove=2"], tmp_path)
    assert proved.returncode == 0, proved.stderr
    assert "proved: 2 trained on their own gave the same" in proved.stdout
    (tmp_path / "s" / "proofs" / "1" / "metrics.csv").write_text("")
    failed = keepbest([*command, "hydra.sweeper.prove=1"], tmp_path)
    assert failed.returncode == 1
    assert "  job 1: metrics.csv\n" in failed.stderr
    assert json.loads((tmp_path / "s" / "sweep.json").read_text())["environment"]["pid"]


LONELY = """
from pathlib import Path
from lightning.pytorch import Callback

class Lonely(Callback):
    '''Fails as long as a file is there.'''
    def on_train_epoch_start(self, trainer, pl_module):
        if Path("alone").exists():
            raise RuntimeError("alone")
"""
