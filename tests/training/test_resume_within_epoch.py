"""A job that died in the middle of an epoch goes on from a step of it, and gives what an uninterrupted one gives."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from keepbest.errors import ConfigError
from keepbest.training.continuation import change_settings

EVERY = "callbacks.model_checkpoint.save_last_every_n_train_steps"
BATCHES = 17  # of digits, in an epoch

MINE = """
import torch
import torchmetrics
from lightning.pytorch import LightningModule
from torch import nn
from torch.nn.functional import cross_entropy

class Mine(LightningModule):
    '''Logs numbers and torchmetrics objects, by step and by epoch, in every batch and in some, and in hooks.'''

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.2), nn.ReLU(), nn.Linear(32, 10))
        self.accuracy = torchmetrics.classification.MulticlassAccuracy(10)
        self.mean = torchmetrics.MeanMetric()
        self.all_losses = torchmetrics.CatMetric()
        self.worst = torchmetrics.MinMaxMetric(torchmetrics.MeanMetric())
        self.several = torchmetrics.MetricCollection({
            "precision": torchmetrics.classification.MulticlassPrecision(10),
            "recall": torchmetrics.classification.MulticlassRecall(10),
            "f1": torchmetrics.classification.MulticlassF1Score(10),
        })
        self.val_accuracy = torchmetrics.classification.MulticlassAccuracy(10)

    def on_train_start(self):
        torch.rand(3)  # moves the generator between the loader's beginning and its first batch

    def on_train_epoch_start(self):
        self.log("train_chance", torch.rand(()))

    def training_step(self, batch, batch_idx):
        images, labels = batch
        outputs = self.net(images)
        loss = cross_entropy(outputs, labels)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        self.log("train_loss_max", loss, on_step=False, on_epoch=True, reduce_fx="max")
        self.log("train_loss_sum", loss, on_step=False, on_epoch=True, reduce_fx=sum)
        if batch_idx == 2:
            self.log("train_third", loss, on_step=False, on_epoch=True)
        self.accuracy(outputs, labels)
        self.log("train_acc", self.accuracy, on_step=True, on_epoch=True)
        self.mean.update(loss, len(labels))
        self.all_losses.update(loss)
        self.worst.update(loss.detach())
        if batch_idx % 3 == 0:
            self.worst.compute()
        self.several.update(outputs, labels)
        return loss

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.log("train_index", float(batch_idx), on_step=True, on_epoch=True)

    def on_train_epoch_end(self):
        self.log("train_mean", self.mean.compute())
        self.log("train_median", self.all_losses.compute().median())
        self.log_dict({f"train_{name}": value for name, value in self.worst.compute().items()})
        self.log_dict({f"train_{name}": value for name, value in self.several.compute().items()})
        for metric in self.mean, self.all_losses, self.worst, self.several:
            metric.reset()

    def validation_step(self, batch):
        images, labels = batch
        outputs = self.net(images)
        self.val_accuracy(outputs, labels)
        self.log("val_acc", self.val_accuracy)
        self.log("val_loss", cross_entropy(outputs, labels))

    def test_step(self, batch):
        self.log("test_loss", cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)
"""
STREAM = """
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, get_worker_info

class Stream(IterableDataset):
    '''Samples in a random order of its own for each pass, with noise that is drawn when a sample is read.'''
    def __init__(self, seed):
        self.seed, self.passes = seed, 0
    def __iter__(self):
        worker = get_worker_info()
        share = (worker.id, worker.num_workers) if worker else (0, 1)
        order = torch.randperm(400, generator=torch.Generator().manual_seed(self.seed))
        inputs = torch.randn(400, 64, generator=torch.Generator().manual_seed(1))
        for i in order[share[0]::share[1]].tolist():
            yield inputs[i] + 0.1 * torch.randn(64), (inputs[i][:10]).argmax()

class Streams(LightningDataModule):
    def __init__(self, num_workers=0):
        super().__init__()
        self.num_workers = num_workers
        self.input_shape, self.num_outputs = [64], 10
    def train_dataloader(self):
        return DataLoader(Stream(3), batch_size=20, num_workers=self.num_workers)
    def val_dataloader(self):
        inputs = torch.randn(100, 64, generator=torch.Generator().manual_seed(2))
        return DataLoader(TensorDataset(inputs, inputs[:, :10].argmax(1)), batch_size=50)
"""


def record_of(job_dir):
    return json.loads((job_dir / "run.json").read_text())


def died_within_epoch(job_dir):
    last = record_of(job_dir)["last"]
    content = torch.load(job_dir / last["path"], weights_only=True)
    assert "keepbest_epoch_in_progress" in content
    assert (content["epoch"], content["global_step"]) == (last["epoch"], last["step"])
    assert not last["ended_early"]


@pytest.fixture
def module_file(tmp_path, monkeypatch):
    """Put a user's module where jobs find it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        sys.modules.pop(name, None)

    return write


ONE_CYCLE = "{_target_: torch.optim.lr_scheduler.OneCycleLR, _partial_: true, max_lr: 0.01, total_steps: null}"
FOUR = ("trainer.max_epochs=4", "model.dropout=0.2")
PLATEAU = ("model/scheduler=plateau", "model.scheduler.patience=0", "model.optimizer.lr=0.1")
BY_STEP = (f"+model.scheduler={ONE_CYCLE}", "model.scheduler_interval=step")
# overrides, the epoch in which it dies, and the batch, counted from 0
WAYS = {
    "plain": ((*FOUR, f"{EVERY}=5"), 2, 13),
    "every step, first epoch, loader workers": ((*FOUR, f"{EVERY}=1", "data.num_workers=2"), 0, 3),
    "loader workers": ((*FOUR, f"{EVERY}=4", "data.num_workers=2"), 2, 13),
    "at the last batch": ((*FOUR, f"{EVERY}=1"), 2, 16),
    "accumulated": ((*FOUR, f"{EVERY}=1", "trainer.accumulate_grad_batches=3"), 2, 13),
    "after a validation": ((*FOUR, f"{EVERY}=1", "trainer.val_check_interval=0.25"), 2, 8),
    "after a validation, accumulated": (
        (*FOUR, f"{EVERY}=1", "trainer.val_check_interval=0.25", "trainer.accumulate_grad_batches=3"), 2, 14,
    ),
    "several checks": ((*FOUR, f"{EVERY}=5", "trainer.val_check_interval=0.25"), 2, 13),
    "checks by batches": (
        (*FOUR, f"{EVERY}=1", "trainer.val_check_interval=7", "trainer.check_val_every_n_epoch=null"), 2, 13,
    ),
    "sparse checks": ((*FOUR, f"{EVERY}=5", "trainer.check_val_every_n_epoch=2"), 2, 13),
    "cosine": ((*FOUR, f"{EVERY}=5", "model/scheduler=cosine"), 2, 13),
    "OneCycle by step, loader workers": ((*FOUR, f"{EVERY}=4", *BY_STEP, "data.num_workers=2"), 2, 13),
    "plateau": ((*FOUR, f"{EVERY}=4", *PLATEAU), 2, 13),
    "plateau, no validation to come": ((*FOUR, f"{EVERY}=1", *PLATEAU, "trainer.val_check_interval=0.25"), 2, 16),
    "by steps": ((f"{EVERY}=5", "trainer.max_epochs=-1", "trainer.max_steps=60"), 2, 13),
    "weights only": ((*FOUR, f"{EVERY}=5", "callbacks/model_checkpoint=weights_only"), 2, 13),
    "from memory": ((*FOUR, f"{EVERY}=5", "callbacks.early_stopping.restore_best_weights=true"), 2, 13),
    "written meanwhile": (
        (*FOUR, f"{EVERY}=2",
         "+trainer.plugins={_target_: keepbest.checkpoints.async_checkpoint_io.AsyncDurableCheckpointIO}"), 2, 13,
    ),
}  # fmt: skip
SLOW = {
    "plateau, no validation to come",
    "from memory",
    "every step, first epoch, loader workers", "at the last batch", "after a validation, accumulated", "several checks",
    "sparse checks", "cosine", "plateau", "weights only",
}  # fmt: skip
"""Those in which nothing happens that the others lack, but together."""


@pytest.mark.parametrize(
    ("overrides", "epoch", "batch"),
    [pytest.param(*way, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, way in WAYS.items()],
)
def test_it_gives_what_the_uninterrupted_job_gives(overrides, epoch, batch, twice, differences):
    jobs = twice(*overrides, epoch=epoch, batch=batch, on_death=died_within_epoch)
    assert differences(*jobs) == []


def test_a_users_module_goes_on_with_all_that_it_has_logged(twice, differences, module_file):
    module_file("mine", MINE)
    jobs = twice("trainer.max_epochs=3", f"{EVERY}=5", epoch=1, batch=13, model={"_target_": "mine.Mine"},
                 on_death=died_within_epoch)  # fmt: skip
    assert differences(*jobs) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_goes_on(workers, twice, differences, module_file):
    module_file("stream", STREAM)
    data = {"_target_": "stream.Streams", "num_workers": workers}
    jobs = twice(*FOUR, f"{EVERY}=3", epoch=1, batch=13, data=data, on_death=died_within_epoch)
    assert differences(*jobs) == []


def test_a_factor_of_accumulation_that_was_set_as_the_epoch_began_still_holds(twice, differences):
    scheduler = "{_target_: lightning.pytorch.callbacks.GradientAccumulationScheduler, scheduling: {1: 3}}"
    jobs = twice(*FOUR, f"+callbacks.accumulation={scheduler}", f"{EVERY}=1", epoch=2, batch=13,
                 on_death=died_within_epoch)  # fmt: skip
    assert differences(*jobs) == []


STATEFUL = """
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset

class Counting(DataLoader):
    '''A loader that knows by itself where it is.'''
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.order, self.given, self.left = None, 0, 0
    def __iter__(self):
        if not self.left:
            self.order, self.given = torch.randperm(len(self.dataset)), 0
        self.left = 0
        for indices in self.order.split(self.batch_size)[self.given:]:
            self.given += 1
            yield self.dataset[indices]
    def state_dict(self):
        return {"order": self.order, "given": self.given}
    def load_state_dict(self, state):
        self.order, self.given, self.left = state["order"], state["given"], 1

class Data(LightningDataModule):
    def __init__(self, loader="stateful.Counting", num_workers=0):
        super().__init__()
        self.loader, self.num_workers = loader, num_workers
        self.input_shape, self.num_outputs = [64], 10
    def dataset(self, seed, samples):
        inputs = torch.randn(samples, 64, generator=torch.Generator().manual_seed(seed))
        return TensorDataset(inputs, inputs[:, :10].argmax(1))
    def train_dataloader(self):
        if self.loader == "torchdata":
            from torchdata.stateful_dataloader import StatefulDataLoader
            return StatefulDataLoader(self.dataset(0, 340), batch_size=20, shuffle=True, num_workers=self.num_workers)
        return Counting(self.dataset(0, 340), batch_size=20)
    def val_dataloader(self):
        return DataLoader(self.dataset(1, 100), batch_size=50)
"""


def test_a_loader_with_a_state_of_its_own_is_restored_by_it(twice, differences, module_file):
    module_file("stateful", STATEFUL)
    data = {"_target_": "stateful.Data"}
    jobs = twice(*FOUR, f"{EVERY}=3", epoch=1, batch=13, data=data, on_death=died_within_epoch)
    assert differences(*jobs) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_torchdatas_loader_is_restored_by_its_state(workers, twice, differences, module_file):
    pytest.importorskip("torchdata")
    module_file("stateful", STATEFUL)
    data = {"_target_": "stateful.Data", "loader": "torchdata", "num_workers": workers}
    jobs = twice(*FOUR, f"{EVERY}=3", epoch=1, batch=13, data=data, on_death=died_within_epoch)
    assert differences(*jobs) == []


# seen once: a loader's worker that never came back from its fork, beside gloo's threads, and the ranks waited for it
@pytest.mark.slow
def test_two_ranks_with_loader_workers_go_on_as_if_nothing_had_happened(keepbest, tmp_path, dying, differences):
    settings = [
        "trainer=ddp_cpu", "trainer.max_epochs=3", "model.dropout=0.3", "data.num_workers=1", f"{EVERY}=2",
        "+callbacks.dies={_target_: dying.Dies, flag: flag, epoch: 1, batch: 6}",
    ]  # fmt: skip
    whole = keepbest(["train", *settings, "hydra.run.dir=whole"], tmp_path)
    assert whole.returncode == 0, whole.stderr
    (tmp_path / "flag").touch()
    broken = keepbest(["train", *settings, "hydra.run.dir=broken"], tmp_path)
    assert broken.returncode == 1
    died_within_epoch(tmp_path / "broken")
    done = keepbest(["resume", "broken"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert differences(tmp_path / "whole", tmp_path / "broken") == []


# Runs that stopped in the middle of an epoch

STOPPING = (
    "trainer=cpu",
    "model.dropout=0.2",
    "trainer.val_check_interval=0.25",
    "callbacks.early_stopping.min_delta=0.01",
)


@pytest.mark.slow
def test_more_patience_extends_a_run_that_stopped_within_an_epoch(keepbest, tmp_path, differences):
    for name, patience in {"long": 6, "short": 2}.items():
        settings = [*STOPPING, "trainer.max_epochs=15", f"callbacks.early_stopping.patience={patience}"]
        done = keepbest(["train", *settings, f"hydra.run.dir={name}"], tmp_path)
        assert done.returncode == 0, done.stderr
    assert record_of(tmp_path / "short")["last"]["step"] % BATCHES, "it stopped within an epoch"
    done = keepbest(["resume", "short", "callbacks.early_stopping.patience=6"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert differences(tmp_path / "long", tmp_path / "short") == []


@pytest.mark.parametrize("accumulated", [1, 5])
def test_a_run_that_died_after_such_a_stop_is_given_the_same_end(accumulated, twice, differences):
    settings = [*STOPPING, "callbacks.early_stopping.patience=2", f"trainer.accumulate_grad_batches={accumulated}"]
    whole, broken = twice(*settings, "trainer.max_epochs=30", epoch=None)
    assert differences(whole, broken) == []
    assert record_of(whole)["stopping"]["reason"] == "patience_exhausted"
    last = record_of(whole)["last"]
    assert last["step"] % BATCHES, "it stopped within an epoch"
    assert {name: record_of(broken)["last"][name] for name in ("step", "ended_early")} == {
        name: last[name] for name in ("step", "ended_early")
    }
    assert last["ended_early"] is (accumulated == 5)


def test_one_that_stopped_between_two_optimizer_steps_is_not_extended(run_job):
    """The gradients that were accumulated by then are gone: the result would be another one."""
    settings = [*STOPPING, "callbacks.early_stopping.patience=2", "trainer.accumulate_grad_batches=5"]
    job_dir, record = run_job(*settings, "trainer.max_epochs=30")
    before = (job_dir / "run.json").read_bytes(), (job_dir / "config.yaml").read_bytes()
    assert record.last.ended_early
    with pytest.raises(
        ConfigError, match=r"stopped between two optimizer steps, or not by early stopping, got '\S+job'"
    ):
        change_settings(job_dir, ["callbacks.early_stopping.patience=6"])
    assert ((job_dir / "run.json").read_bytes(), (job_dir / "config.yaml").read_bytes()) == before


def test_one_that_was_stopped_by_something_else_is_not_extended(run_job, module_file):
    module_file("stopping", "from lightning.pytorch import Callback\n"
                "class Stops(Callback):\n"
                "    def on_train_batch_end(self, trainer, *rest):\n"
                "        trainer.should_stop |= trainer.global_step == 20\n")  # fmt: skip
    job_dir, record = run_job("trainer.max_epochs=4", "+callbacks.stops={_target_: stopping.Stops}")
    assert (record.last.step, record.last.ended_early) == (20, True)
    with pytest.raises(ConfigError, match="or not by early stopping"):
        change_settings(job_dir, ["trainer.max_epochs=6"])
