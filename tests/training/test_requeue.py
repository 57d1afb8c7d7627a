"""SLURM's requeue signal. There is no SLURM here: its variables are set, and `scontrol` is a script that stands in."""

import json
import logging
import signal

import pytest

from keepbest.errors import KeepbestError
from keepbest.training.execute import execute
from keepbest.training.interruption import Interrupted
from keepbest.training.job import create_job

SIGNALS = """
import os
import signal
from pathlib import Path
from lightning.pytorch import Callback

class Signals(Callback):
    '''Sends SLURM's signal to its own process, in the middle of an epoch, if a flag says so.'''
    def __init__(self, flag, epoch):
        self.flag, self.epoch = Path(flag), epoch
    def on_before_optimizer_step(self, trainer, *_):
        if trainer.current_epoch == self.epoch and self.flag.exists():
            self.flag.unlink()
            os.kill(os.getpid(), signal.SIGUSR1)
"""
SLURM = {
    "SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "digits", "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1",
    "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
}  # fmt: skip


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """Pretend to be a job of SLURM; give the file into which `scontrol` writes what it is asked to do."""
    asked, script = tmp_path / "asked", tmp_path / "bin" / "scontrol"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {asked}\necho "$SCONTROL_SAYS" >&2\nexit "${{SCONTROL_STATUS:-0}}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    return asked


@pytest.fixture
def job(compose_config, tmp_path, monkeypatch):
    """Make a job that gets SLURM's signal in its fourth epoch when the flag exists; give the flag, too."""
    (tmp_path / "signalling.py").write_text(SIGNALS)
    monkeypatch.syspath_prepend(tmp_path)
    flag = tmp_path / "flag"

    def make(name, *overrides):
        config = compose_config([
            "trainer=cpu", "trainer.max_epochs=6", "model.dropout=0.2", *overrides,
            f"+callbacks.signals={{_target_: signalling.Signals, flag: {flag}, epoch: 3}}",
        ])  # fmt: skip
        create_job(tmp_path / name, "job", config)
        return tmp_path / name, flag

    return make


def record_of(job_dir):
    return json.loads((job_dir / "run.json").read_text())


def test_the_run_is_interrupted_requeued_and_goes_on_to_the_result_of_an_uninterrupted_one(job, scontrol):
    whole, flag = job("whole")
    execute(whole)
    broken, _ = job("broken")
    flag.touch()
    with pytest.raises(Interrupted, match="SIGUSR1") as ended:
        execute(broken)
    assert ended.value.exit_status == 143, "SLURM's SIGTERM would come next"
    record = record_of(broken)
    assert (record["status"], record["last"]["epoch"]) == ("interrupted", 2)
    assert scontrol.read_text() == "requeue 4242\n"
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    execute(broken)
    assert record_of(broken)["status"] == "completed"
    assert (broken / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    for name in "best_model_score", "verified", "stopping", "test":
        assert record_of(broken)[name] == record_of(whole)[name]
    assert not list(broken.rglob("*hpc_ckpt*"))


def test_a_task_of_an_array_is_requeued_by_both_numbers(job, scontrol, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    job_dir, flag = job("job")
    flag.touch()
    with pytest.raises(Interrupted, match="SIGUSR1"):
        execute(job_dir)
    assert scontrol.read_text() == "requeue 17_3\n"


@pytest.mark.parametrize("fails", ["scontrol refuses", "there is no scontrol"])
def test_a_job_that_cannot_be_requeued_trains_on(job, scontrol, monkeypatch, caplog, fails):
    monkeypatch.setenv("SCONTROL_STATUS", "1")
    monkeypatch.setenv("SCONTROL_SAYS", "Job 4242 cannot be requeued: Access denied")
    if fails == "there is no scontrol":
        scontrol.with_name("bin").joinpath("scontrol").unlink()
    job_dir, flag = job("job")
    flag.touch()
    with caplog.at_level(logging.WARNING):
        execute(job_dir)
    assert not flag.exists()
    assert record_of(job_dir)["status"] == "completed"
    reason = "Access denied" if fails == "scontrol refuses" else "No such file or directory: 'scontrol'"
    (told,) = [line for line in caplog.messages if "could not be requeued, the training goes on" in line]
    assert reason in told


def test_a_checkpoint_that_lightning_would_load_by_itself_under_slurm_is_refused(job, scontrol):
    """It would be tested in place of the best one, and a fit without a last checkpoint would begin with it."""
    job_dir, _ = job("job")
    (job_dir / "hpc_ckpt_1.ckpt").write_bytes(b"of an older version")
    with pytest.raises(KeepbestError, match=r"a checkpoint that Lightning would load by itself, got .*hpc_ckpt_1"):
        execute(job_dir)
    (job_dir / "hpc_ckpt_1.ckpt").unlink()
    execute(job_dir)
    assert record_of(job_dir)["status"] == "completed"


def test_a_handler_of_the_users_own_stays(job, scontrol):
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        job_dir, flag = job("job")
        flag.touch()
        execute(job_dir)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]
    assert not scontrol.exists()
