"""Opening a run: from anywhere, after it was moved, and only if its files are what the record says."""

import json
import os
import shutil
import socket
import sys
from unittest.mock import ANY

import pytest

import keepbest
from keepbest.errors import ConfigError, IntegrityError, RecordError
from keepbest.reading.opening import opening_line
from keepbest.records.ownership import owned


@pytest.fixture
def moved(default_run, tmp_path):
    """A copy of the run that `keepbest train` left, somewhere else."""
    return shutil.copytree(default_run[1], tmp_path / "elsewhere" / "renamed")


def test_record_config_and_metrics_are_what_lies_on_disk(moved):
    run = keepbest.open_run(str(moved))
    assert {**run.record, "checksum": ANY} == json.loads((moved / "run.json").read_text())
    assert run.config["objective"] == {"monitor": "val_loss", "mode": "min"}
    assert run.metrics.val_loss.min() == run.record["best_model_score"]
    assert len(run.metrics) == run.record["timing"]["epochs_trained"]
    assert repr(run).startswith(f"<Run {run.record['id']}: completed, val_loss ")


def test_the_loaded_weights_are_those_of_the_best_checkpoint(moved):
    import torch

    run = keepbest.open_run(moved / "run.json")
    kept = torch.load(run.best_model_path, weights_only=True)["state_dict"]
    loaded = run.load_model().state_dict()
    assert loaded.keys() == kept.keys()
    assert all(torch.equal(loaded[name], kept[name]) for name in kept)


def test_a_changed_checkpoint_is_refused_with_both_hashes(moved):
    path = moved / "checkpoints" / "best.ckpt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    recorded = json.loads((moved / "run.json").read_text())["best_sha256"]
    with pytest.raises(IntegrityError, match=f"recorded as {recorded}, is [0-9a-f]{{64}}"):
        keepbest.open_run(moved).load_model()


def test_a_missing_checkpoint_is_told(moved):
    (moved / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(RecordError, match=r"is gone: .*best\.ckpt does not exist"):
        _ = keepbest.open_run(moved).best_model_path


def test_a_run_without_a_best_says_why(moved, edit_record):
    edit_record(moved, status="diverged", best_model_path=None, best_model_score=None, best_sha256=None)
    run = keepbest.open_run(moved)
    assert "no best model" in repr(run)
    with pytest.raises(RecordError, match="no best model: it is diverged"):
        run.load_model()


def test_a_run_whose_process_died_is_interrupted(moved, edit_record):
    edit_record(moved, status="running")
    assert keepbest.open_run(moved).record["status"] == "interrupted"
    assert json.loads((moved / "run.json").read_text())["status"] == "running", "nothing is written"


@pytest.mark.parametrize("host", [socket.gethostname(), "another-machine"])
def test_the_lock_tells_whether_a_run_is_alive_whatever_process_has_its_number_now(moved, edit_record, host):
    """A number is given again to other processes, and another machine has numbers of its own."""
    environment = json.loads((moved / "run.json").read_text())["environment"]
    edit_record(moved, status="running", environment={**environment, "pid": os.getpid(), "host": host})
    assert keepbest.open_run(moved).record["status"] == "interrupted"
    with owned(moved):
        assert keepbest.open_run(moved).record["status"] == "running"
    (moved / ".lock").unlink()
    assert keepbest.open_run(moved).record["status"] == "interrupted", "a copy without its lock"


@pytest.mark.parametrize("path", ["a\0b", "a" * 5000, "~nobody_of_this_name/run"], ids=ascii)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ConfigError, match=r"a run must be given by a path: .*, got '"):
        keepbest.open_run(path)


@pytest.mark.parametrize("path", ["", "/", "/dev/null", "/dev/zero", "nowhere"])
def test_a_path_that_leads_to_no_run_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError, match=r"must hold run\.json"):
        keepbest.open_run(path)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta:-5"])
def test_a_device_that_is_not_there_is_told(moved, device):
    with pytest.raises(
        ConfigError, match=f"device must be one of this machine with room for the model, got '{device}'"
    ):
        keepbest.open_run(moved).load_model(device)


def test_a_directory_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"must hold run\.json"):
        keepbest.open_run(tmp_path)


def test_latest_run_is_the_newest_also_where_links_do_not_survive(default_run, tmp_path):
    outputs = tmp_path / "outputs"
    older = shutil.copytree(default_run[1], outputs / "runs" / "2020-01-01_00-00-00_aaaaaa")
    newer = shutil.copytree(default_run[1], outputs / "runs" / "2020-01-01_00-00-01_000000")
    assert keepbest.latest_run(outputs).directory == newer
    (outputs / "latest").symlink_to(older.relative_to(outputs))
    assert keepbest.latest_run(outputs).directory == older, "the link says which was launched last"
    with pytest.raises(RecordError, match="there is no run in"):
        keepbest.latest_run(tmp_path)


def test_the_model_of_a_user_opens_once_its_module_is_named(run_job, tmp_path, monkeypatch):
    """Without keepbest knowing it; also when its hyperparameters hold what no safe load accepts."""
    (tmp_path / "theirs.py").write_text(
        "import torch\n"
        "from lightning.pytorch import LightningModule\n"
        "class Net(LightningModule):\n"
        "    def __init__(self, net, optimizer, width=None):\n"
        "        super().__init__()\n"
        "        self.save_hyperparameters(logger=False)\n"
        "        self.net = net\n"
        "    def training_step(self, batch):\n"
        "        return torch.nn.functional.cross_entropy(self.net(batch[0].flatten(1)), batch[1])\n"
        "    def validation_step(self, batch):\n"
        "        self.log('val_loss', self.training_step(batch))\n"
        "    def configure_optimizers(self):\n"
        "        return self.hparams.optimizer(params=self.parameters())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    job_dir, record = run_job(
        "~model", "+model._target_=theirs.Net", "+model.net._target_=torch.nn.Linear", "+model.net.in_features=64",
        "+model.net.out_features=10", "+model.optimizer._target_=torch.optim.SGD", "+model.optimizer._partial_=true",
        "+model.optimizer.lr=0.1", "trainer.max_epochs=2",
    )  # fmt: skip
    import torch

    assert torch.serialization.get_unsafe_globals_in_checkpoint(job_dir / "checkpoints" / "best.ckpt") == []
    assert record.verified.exact
    assert record.test is None, "it has no test_step"
    sys.modules.pop("theirs")
    with pytest.raises(
        ConfigError, match=r"^model\._target_: it must be a class of .*, got 'theirs\.Net'\."
    ) as refused:
        keepbest.open_run(job_dir).load_model()
    assert "theirs" not in sys.modules, "what is not allowed is not even imported"
    assert f'keepbest.open_run("{job_dir}", modules=["theirs"])' in str(refused.value)
    assert type(keepbest.open_run(job_dir, modules=["theirs"]).load_model()).__name__ == "Net"
    assert type(keepbest.open_run(job_dir, trust=True).load_model()).__name__ == "Net"
    assert opening_line(job_dir) == f'keepbest.open_run("{job_dir}", modules=["theirs"])'
