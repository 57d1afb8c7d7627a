"""A job that ended early goes on from its last whole epoch, and gives what an uninterrupted one gives, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from keepbest.errors import ConfigError, IntegrityError, OwnedError, RecordError
from keepbest.reading.run import open_run
from keepbest.training.execute import execute
from keepbest.training.job import create_job


def record_of(job_dir):
    return json.loads((job_dir / "run.json").read_text())


SEVEN = ("trainer.max_epochs=7", "model.dropout=0.2")
SLOW = ("stopped early", "step schedule", "sparse checks", "double")
WAYS = {
    "plain": SEVEN,
    "stopped early": ("trainer.max_epochs=40", "callbacks.early_stopping.patience=1", "model.dropout=0.3"),
    "step schedule": (*SEVEN, "model/scheduler=cosine"),
    "plateau": (*SEVEN, "model/scheduler=plateau", "model.scheduler.patience=0", "model.optimizer.lr=0.1"),
    "accumulated": (*SEVEN, "trainer.accumulate_grad_batches=3"),
    "loader workers": ("trainer.max_epochs=5", "data.num_workers=2"),
    "several checks": (*SEVEN, "trainer.val_check_interval=0.25"),
    "sparse checks": (*SEVEN, "trainer.check_val_every_n_epoch=2"),
    "weights only": (*SEVEN, "callbacks/model_checkpoint=weights_only"),
    "double": (*SEVEN, "trainer.precision=64-true"),
    "from memory": (*SEVEN, "callbacks.early_stopping.restore_best_weights=true"),
    "convolutions": ("model=cnn", "trainer.max_epochs=5"),
}


@pytest.mark.parametrize(
    "overrides",
    [pytest.param(way, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, way in WAYS.items()],
)
def test_it_gives_what_the_uninterrupted_job_gives(overrides, twice, differences):
    assert differences(*twice(*overrides)) == []


def test_a_job_that_died_in_its_first_epoch_starts_over(twice, differences):
    assert differences(*twice(*SEVEN, epoch=0)) == []


def test_a_onecycle_schedule_by_steps_goes_on(twice, differences):
    node = "{_target_: torch.optim.lr_scheduler.OneCycleLR, _partial_: true, max_lr: 0.01, total_steps: 200}"
    assert differences(*twice(*SEVEN, f"+model.scheduler={node}")) == []


@pytest.mark.parametrize("overrides", [SEVEN, (*SEVEN, "trainer.val_check_interval=0.25")], ids=["plain", "several"])
def test_the_rows_of_lightnings_csv_logger_are_those_of_the_uninterrupted_job(overrides, twice):
    whole, broken = twice(*overrides, "logger=csv", "trainer.log_every_n_steps=5")
    rows = (whole / "csv" / "metrics.csv").read_text()
    assert len(rows.splitlines()) > 15
    assert (broken / "csv" / "metrics.csv").read_text() == rows


def test_the_record_tells_the_last_checkpoint_and_the_best_while_the_job_runs(twice, tmp_path):
    _, broken = twice(*SEVEN)
    record = record_of(broken)
    assert record["last"]["path"] == "checkpoints/last.ckpt"
    assert record["last"]["epoch"] == 6
    assert record["error"] is None
    assert record["timing"]["seconds"] > 0


def test_what_a_kill_in_the_first_save_left_is_swept(compose_config, tmp_path):
    """The record does not name any checkpoint yet."""
    job_dir = tmp_path / "job"
    create_job(job_dir, "job", compose_config(["trainer=cpu", "trainer.max_epochs=1"]))
    (job_dir / "checkpoints").mkdir()
    left = [job_dir / "checkpoints" / ".best.ckpt.0a1b2c3d.partial", job_dir / ".run.json.0a1b2c3d.partial"]
    for partial in left:
        partial.write_bytes(b"half written")
    execute(job_dir)
    assert not [partial for partial in left if partial.exists()]


def test_a_damaged_last_checkpoint_is_refused(twice, compose_config, tmp_path):
    config = compose_config(["trainer=cpu", *SEVEN])
    create_job(tmp_path / "job", "job", config)
    execute(tmp_path / "job")
    from keepbest.training.continuation import change_settings

    change_settings(tmp_path / "job", ["trainer.max_epochs=9"])
    last = tmp_path / "job" / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    with pytest.raises(IntegrityError, match="must have the sha256 it was recorded with"):
        execute(tmp_path / "job")


def test_a_finished_job_is_not_executed_again(run_job):
    job_dir, _ = run_job("trainer.max_epochs=1")
    before = (job_dir / "run.json").read_bytes()
    with pytest.raises(RecordError, match=r"a job has one result; .* is completed already"):
        execute(job_dir)
    assert (job_dir / "run.json").read_bytes() == before


# The commands


@pytest.mark.slow
def test_the_same_command_finishes_a_killed_run_and_resume_says_that_there_is_nothing_to_do(
    keepbest, tmp_path, differences
):
    settings = ["trainer=cpu", "trainer.max_epochs=25", "model.dropout=0.2", "callbacks/early_stopping=off"]
    whole = keepbest(["train", *settings, "hydra.run.dir=whole"], tmp_path)
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "keepbest", "train", *settings, "hydra.run.dir=killed"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if line.startswith("epoch  1"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert record_of(tmp_path / "killed")["status"] == "running", "no code could see that it died"
    assert open_run(tmp_path / "killed").record["status"] == "interrupted"

    refused = keepbest(["train", *settings, "seed=1", "hydra.run.dir=killed"], tmp_path)
    assert refused.returncode == 2
    assert "unfinished, with another config" in refused.stderr
    done = keepbest(["train", *settings, "hydra.run.dir=killed"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "killed holds this run, unfinished: going on with it" in done.stdout
    assert "going on after step" in done.stdout
    assert differences(tmp_path / "whole", tmp_path / "killed") == []

    again = keepbest(["resume", "killed"], tmp_path)
    assert again.returncode == 0
    assert "has its result, and is not trained further" in again.stdout


@pytest.mark.slow
def test_more_patience_extends_a_stopped_run_to_what_it_would_have_been(keepbest, tmp_path, differences):
    settings = ["trainer=cpu", "model.dropout=0.2", "callbacks.early_stopping.min_delta=0.01"]
    long = keepbest(["train", *settings, "callbacks.early_stopping.patience=4", "hydra.run.dir=long"], tmp_path)
    short = keepbest(["train", *settings, "callbacks.early_stopping.patience=1", "hydra.run.dir=short"], tmp_path)
    assert (long.returncode, short.returncode) == (0, 0)
    assert record_of(tmp_path / "short")["stopping"]["checks"] < record_of(tmp_path / "long")["stopping"]["checks"]
    done = keepbest(["resume", "short", "callbacks.early_stopping.patience=4"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert differences(tmp_path / "long", tmp_path / "short") == []

    for override, message in {
        "model.dropout=0.5": "may change only what decides its end",
        "callbacks.early_stopping.patiance=3": "Did you mean 'callbacks.early_stopping.patience'?",
        "callbacks.early_stopping.patience=-1": "patience must be a whole number of checks, at least 0, got -1",
        "patience": "an override is KEY=VALUE, got 'patience'",
    }.items():
        refused = keepbest(["resume", "short", override], tmp_path)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
    assert record_of(tmp_path / "short")["status"] == "completed"


def test_a_second_process_is_refused_with_the_owners_host_and_pid(compose_config, tmp_path):
    create_job(
        tmp_path / "job",
        "job",
        compose_config(["trainer=cpu", "trainer.max_epochs=400", "callbacks/early_stopping=off"]),
    )
    command = [sys.executable, "-m", "keepbest.training.worker", str(tmp_path / "job")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert any(line.startswith("epoch") for line in process.stdout)
        with pytest.raises(OwnedError, match=rf"is held by process {process.pid} on \S+\. Wait for it, or end it"):
            execute(tmp_path / "job")
    finally:
        process.kill()
        process.wait()
    flag = time.monotonic()
    with pytest.raises(ConfigError, match="unfinished, with another config"):
        create_job(tmp_path / "job", "job", compose_config(["trainer=cpu"]))
    assert time.monotonic() - flag < 5, "a dead owner's lock is no obstacle"


KILLED = """
import os
import signal
import time
from pathlib import Path
from lightning.pytorch import Callback

class Killed(Callback):
    '''Kills its own process in the middle of an epoch, in the rank and the epoch that a file names.'''
    def __init__(self, file):
        self.file = Path(file)
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        wanted = f"{trainer.global_rank} {trainer.current_epoch}"
        if batch_idx == 1 and self.file.exists() and self.file.read_text() == wanted:
            self.file.write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_two_ranks_go_on_as_if_nothing_had_happened_when_either_was_killed(keepbest, tmp_path, differences):
    (tmp_path / "killed.py").write_text(KILLED)
    settings = [
        "trainer=ddp_cpu", "trainer.max_epochs=4", "model.dropout=0.3",
        "+callbacks.killed={_target_: killed.Killed, file: kill}",
    ]  # fmt: skip
    whole = keepbest(["train", *settings, "hydra.run.dir=whole"], tmp_path)
    assert whole.returncode == 0, whole.stderr
    for command, victim, message in [
        (["train", *settings, "hydra.run.dir=broken"], "1 1", "must live until its end, rank 1 was killed by SIGKILL"),
        (["resume", "broken"], "0 2", "was killed by SIGKILL"),
    ]:
        (tmp_path / "kill").write_text(victim)
        died = keepbest(command, tmp_path)
        assert time.time() - float((tmp_path / "kill").read_text()) < 30, "nobody waits for who is dead"
        assert died.returncode == 1
        assert message in died.stderr
        assert "Traceback" not in died.stderr
        record = record_of(tmp_path / "broken")
        assert record["status"] == "failed"
        assert message in record["error"]["message"]
        assert record["last"]["epoch"] == int(victim[-1]) - 1
        left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert str(tmp_path / "broken") not in left
    done = keepbest(["resume", "broken"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert differences(tmp_path / "whole", tmp_path / "broken") == []


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_is_resumed(keepbest, tmp_path, number, status):
    settings = ["trainer=cpu", "trainer.max_epochs=400", "callbacks/early_stopping=off", "hydra.run.dir=run"]
    command = [sys.executable, "-m", "keepbest", "train", *settings]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if line.startswith("epoch   5"):
            process.send_signal(number)
            break
    process.stdout.read()
    assert process.wait() == status
    record = record_of(tmp_path / "run")
    assert record["status"] == "interrupted"
    done = keepbest(["resume", "run", f"trainer.max_epochs={record['last']['epoch'] + 3}"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "run holds a run that is interrupted: going on with it" in done.stdout
    assert record_of(tmp_path / "run")["timing"]["epochs_trained"] == record["last"]["epoch"] + 3
