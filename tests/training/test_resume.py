"""A job that ended early goes on from its last whole epoch, and gives what an uninterrupted one gives, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from keepbest.errors import ConfigError, IntegrityError, OwnedError, RecordError
from keepbest.reading.run import open_run
from keepbest.training.execute import execute
from keepbest.training.job import create_job

DIES = """
from pathlib import Path
from lightning.pytorch import Callback

class Dies(Callback):
    '''Raises once, in the middle of an epoch, if a flag says so.'''
    def __init__(self, flag, epoch):
        self.flag, self.epoch = Path(flag), epoch
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == 1 and self.flag.exists():
            trainer.strategy.barrier()
            if trainer.is_global_zero:
                self.flag.unlink()
            raise RuntimeError("the lights went out")
"""


def record_of(job_dir):
    return json.loads((job_dir / "run.json").read_text())


def result_of(job_dir):
    """Return all that must not depend on whether the job was interrupted."""
    record = record_of(job_dir)
    names = ("status", "best_model_score", "best_epoch", "best_step", "verified", "stopping", "policy_best", "test")
    found = {name: record[name] for name in names} | {"trained": record["timing"]["epochs_trained"]}
    found["metrics"] = (job_dir / "metrics.csv").read_text()
    epochs = {line.split(",")[0] for line in found["metrics"].splitlines()[1:]}
    assert len(epochs) == found["trained"], "all of them are in the table"
    for name in "best", "last":
        content = torch.load(job_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)
        kept = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")
        found[name] = {key: content[key] for key in kept if key in content}
    return found


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@pytest.fixture
def twice(compose_config, tmp_path, monkeypatch):
    """Run a job without interruption, and another that dies in an epoch and goes on; give both directories."""
    (tmp_path / "dying.py").write_text(DIES)
    monkeypatch.syspath_prepend(tmp_path)

    def run(*overrides, epoch=3):
        flag = tmp_path / "flag"
        config = compose_config([
            "trainer=cpu", f"+callbacks.dies={{_target_: dying.Dies, flag: {flag}, epoch: {epoch}}}", *overrides,
        ])  # fmt: skip
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        for job_dir in whole, broken:
            create_job(job_dir, "job", config)
        execute(whole)
        flag.touch()
        with pytest.raises(RuntimeError, match="the lights went out"):
            execute(broken)
        assert record_of(broken)["status"] == "failed"
        execute(broken)
        return whole, broken

    return run


SEVEN = ("trainer.max_epochs=7", "model.dropout=0.2")
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


@pytest.mark.parametrize("overrides", WAYS.values(), ids=WAYS)
def test_it_gives_what_the_uninterrupted_job_gives(overrides, twice):
    whole, broken = twice(*overrides)
    one, other = result_of(whole), result_of(broken)
    assert one.keys() == other.keys()
    assert [name for name in one if not equal(one[name], other[name])] == []


def test_a_job_that_died_in_its_first_epoch_starts_over(twice):
    whole, broken = twice(*SEVEN, epoch=0)
    assert equal(result_of(whole), result_of(broken))


def test_a_onecycle_schedule_by_steps_goes_on(twice):
    node = "{_target_: torch.optim.lr_scheduler.OneCycleLR, _partial_: true, max_lr: 0.01, total_steps: 200}"
    whole, broken = twice(*SEVEN, f"+model.scheduler={node}")
    assert equal(result_of(whole), result_of(broken))


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


def test_the_same_command_finishes_a_killed_run_and_resume_says_that_there_is_nothing_to_do(keepbest, tmp_path):
    settings = ["trainer=cpu", "trainer.max_epochs=60", "model.dropout=0.2", "callbacks/early_stopping=off"]
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
    assert "going on after epoch" in done.stdout
    assert equal(result_of(tmp_path / "whole"), result_of(tmp_path / "killed"))

    again = keepbest(["resume", "killed"], tmp_path)
    assert again.returncode == 0
    assert "has its result, and is not trained further" in again.stdout


def test_more_patience_extends_a_stopped_run_to_what_it_would_have_been(keepbest, tmp_path):
    settings = ["trainer=cpu", "model.dropout=0.2", "callbacks.early_stopping.min_delta=0.01"]
    long = keepbest(["train", *settings, "callbacks.early_stopping.patience=4", "hydra.run.dir=long"], tmp_path)
    short = keepbest(["train", *settings, "callbacks.early_stopping.patience=1", "hydra.run.dir=short"], tmp_path)
    assert (long.returncode, short.returncode) == (0, 0)
    assert record_of(tmp_path / "short")["stopping"]["checks"] < record_of(tmp_path / "long")["stopping"]["checks"]
    done = keepbest(["resume", "short", "callbacks.early_stopping.patience=4"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert equal(result_of(tmp_path / "long"), result_of(tmp_path / "short"))

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


def test_two_ranks_go_on_as_if_nothing_had_happened(keepbest, tmp_path):
    (tmp_path / "dying.py").write_text(DIES)
    settings = [
        "trainer=ddp_cpu", "trainer.max_epochs=4", "model.dropout=0.3",
        "+callbacks.dies={_target_: dying.Dies, flag: flag, epoch: 2}",
    ]  # fmt: skip
    whole = keepbest(["train", *settings, "hydra.run.dir=whole"], tmp_path)
    assert whole.returncode == 0, whole.stderr
    (tmp_path / "flag").touch()
    broken = keepbest(["train", *settings, "hydra.run.dir=broken"], tmp_path)
    assert broken.returncode == 1
    done = keepbest(["resume", "broken"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert equal(result_of(tmp_path / "whole"), result_of(tmp_path / "broken"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
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
    assert record_of(tmp_path / "run")["timing"]["epochs_trained"] == record["last"]["epoch"] + 3
