"""Members that stop in the middle of an epoch end it as jobs of their own do, whatever their training comes to."""

from __future__ import annotations

import itertools
import signal
from contextlib import suppress

import pytest

from keepbest.sweeping.shared_run import execute_shared

ES = "callbacks.early_stopping"
QUARTERS = "trainer.val_check_interval=0.25"
FAST = ("model.hidden_sizes=[16]", "data.batch_size=128", "model.optimizer.lr=0.03", "model.dropout=0.2")
EVERY = "callbacks.model_checkpoint.save_last_every_n_train_steps"
BATCHES = 9  # in an epoch


def grid(patience, min_delta):
    return [[f"{ES}.patience={p}", f"{ES}.min_delta={d}"] for p, d in itertools.product(patience, min_delta)]


@pytest.fixture
def module_file(tmp_path, monkeypatch):
    """Put a user's module where jobs find it."""
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name, text: (tmp_path / f"{name}.py").write_text(text)


@pytest.fixture
def compare(share, alone, differences):
    """Give the differences between members and the same jobs on their own, by member."""

    def found(common, members, deaths=0):
        training, directories = share(common, members)
        for _ in range(deaths):
            with suppress(RuntimeError):
                execute_shared(training)
                break
        else:
            execute_shared(training)
        assert not (training / "kept").exists()
        results = [alone([*common, *member], str(number)) for number, member in enumerate(members)]
        pairs = zip(members, directories, results, strict=True)
        return {str(member): names for member, one, other in pairs if (names := differences(one, other))}

    return found


USERS = """
import torch
import torchmetrics
from lightning.pytorch import LightningModule
from torch import nn
from torch.nn.functional import cross_entropy

class Users(LightningModule):
    '''Logs numbers and torchmetrics objects, by step and by epoch, and in the hooks of an epoch; draws at its end.'''

    def __init__(self, input_shape=None, num_outputs=None):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Dropout(0.2), nn.ReLU(), nn.Linear(32, 10)
        )
        self.accuracy = torchmetrics.classification.MulticlassAccuracy(10)
        self.losses = torchmetrics.CatMetric()
        self.val_accuracy = torchmetrics.classification.MulticlassAccuracy(10)

    def on_train_epoch_start(self):
        self.log("train_chance", torch.rand(()))

    def training_step(self, batch, batch_idx):
        images, labels = batch
        outputs = self.net(images)
        loss = cross_entropy(outputs, labels)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        self.accuracy(outputs, labels)
        self.log("train_acc", self.accuracy, on_step=False, on_epoch=True)
        self.losses.update(loss)
        return loss

    def on_train_epoch_end(self):
        self.log("train_median", self.losses.compute().median())
        self.log("train_late_chance", torch.rand(()))
        self.losses.reset()

    def validation_step(self, batch):
        images, labels = batch
        outputs = self.net(images)
        self.val_accuracy(outputs, labels)
        self.log("val_acc", self.val_accuracy)
        self.log("val_loss", cross_entropy(outputs, labels))

    def test_step(self, batch):
        images, labels = batch
        self.log("test_loss", cross_entropy(self.net(images + 0.3 * torch.randn_like(images)), labels))

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        schedule = {"scheduler": scheduler, "monitor": "val_loss", "interval": "step", "frequency": 2, "strict": False}
        return {"optimizer": optimizer, "lr_scheduler": schedule}
"""


def test_a_users_module_ends_its_epoch_with_all_that_it_has_logged(compare, module_file, caplog):
    module_file("users_within", USERS)
    common = ("~model", "+model={_target_: users_within.Users}", QUARTERS, "trainer.accumulate_grad_batches=2",
              "data.batch_size=128", "trainer.max_epochs=8")  # fmt: skip
    assert compare(common, grid([2, 3], [0, 0.05, 0.2])) == {}
    assert "from the beginning" not in caplog.text


REMEMBERS = """
import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.nn.functional import cross_entropy

class Remembers(LightningModule):
    '''Collects what the batches of an epoch gave in a list, as Lightning's guide for outputs of an epoch advises.'''

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        self.outputs = []

    def training_step(self, batch):
        loss = cross_entropy(self.net(batch[0]), batch[1])
        self.outputs.append(loss.detach())
        return loss

    def on_train_epoch_end(self):
        self.log("train_mean", torch.stack(self.outputs).mean())
        self.outputs.clear()

    def validation_step(self, batch):
        self.log("val_loss", cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.02)
"""


def test_a_module_that_remembers_what_no_checkpoint_holds_is_trained_anew(compare, module_file, caplog):
    module_file("remembers_within", REMEMBERS)
    common = ("~model", "+model={_target_: remembers_within.Remembers}", QUARTERS, "data.batch_size=128",
              "trainer.max_epochs=4")  # fmt: skip
    assert compare(common, [*grid([1, 1, 2], [0.2]), [f"{ES}.patience=50"]]) == {}
    assert "is trained from the beginning: " in caplog.text
    assert "what it keeps in outputs could not be given back" in caplog.text


DIES = """
import os
import signal
from pathlib import Path
from lightning.pytorch import Callback

class Dies(Callback):
    '''Ends the training at batches of epochs, or in tests, once for each file of this name.'''
    def __init__(self, flags, kills=False):
        self.flags, self.kills = Path(flags), kills
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.die(f"{trainer.current_epoch}-{batch_idx}")
    def on_train_end(self, trainer, pl_module):
        self.die("end")
    def on_train_epoch_end(self, trainer, pl_module):
        if not trainer.is_last_batch:
            self.die("cut")
    def on_test_start(self, trainer, pl_module):
        self.die("test")
    def die(self, name):
        if (self.flags / name).exists():
            (self.flags / name).unlink()
            if self.kills:
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("the lights went out")
"""


@pytest.mark.parametrize(
    ("saved", "deaths"),
    [
        pytest.param(
            (), [f"{epoch}-8" for epoch in range(7)], id="after the last check of an epoch", marks=pytest.mark.slow
        ),
        pytest.param(
            (f"{EVERY}=1",),
            ["0-5", "1-4", "2-2", "2-8", "3-5", "4-6", "5-4"],
            id="saved at each step",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("callbacks.model_checkpoint.save_last=false",),
            ["3-4", "5-2"],
            id="nothing to go on from",
        ),
    ],
)
def test_a_shared_training_that_died_goes_on_for_all(saved, deaths, compare, module_file, tmp_path):
    module_file("dying_within", DIES)
    flags = tmp_path / "flags"
    flags.mkdir()
    dies = f"+callbacks.dies={{_target_: dying_within.Dies, flags: {flags}}}"
    for name in (*deaths, "end", "cut", "test"):
        (flags / name).touch()
    common = (*FAST, QUARTERS, "trainer.max_epochs=8", *saved, dies)
    assert compare(common, grid([1, 2], [0, 0.05, 0.2]), deaths=len(deaths) + 3) == {}
    assert not any(flags.iterdir())


TOLD = """
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset

class Told(LightningModule):
    '''Its validation after every other batch logs what it is told to; its weight counts the steps.'''
    def __init__(self, values):
        super().__init__()
        self.values = [float(value) for value in values]
        self.weight = torch.nn.Parameter(torch.zeros(1))
    def training_step(self, batch):
        self.log("train_weight", self.weight.sum(), on_step=False, on_epoch=True)
        return -self.weight.sum()
    def validation_step(self, batch):
        self.log("val_loss", self.values[max(round(float(self.weight)) // 2 - 1, 0)])
    def test_step(self, batch):
        self.log("test_weight", self.weight.sum())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)

class Eight(LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.zeros(8)))
    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.ones(1)))
    test_dataloader = val_dataloader
"""


@pytest.mark.parametrize(
    "saved",
    [
        pytest.param((), id="saved at the end of epochs", marks=pytest.mark.slow),
        pytest.param((f"{EVERY}=1",), id="saved at each step"),
    ],
)
def test_a_best_that_came_after_a_members_stop_and_before_a_death_is_not_its_best(
    saved, compare, module_file, tmp_path
):
    module_file("told_within", TOLD)
    module_file("dying_within", DIES)
    flags = tmp_path / "flags"
    flags.mkdir()
    common = (
        "~model", "+model={_target_: told_within.Told, values: [9,8,7,6,6.5,5,5.5,4,4.5,4.6,3,3.5,3.6,3.7,2,3]}",
        "~data", "+data={_target_: told_within.Eight}", "trainer.val_check_interval=2", "trainer.max_epochs=4",
        "guards.overlap=false", *saved, f"+callbacks.dies={{_target_: dying_within.Dies, flags: {flags}}}",
    )  # fmt: skip
    deaths = [f"{epoch}-{batch}" for epoch in range(4) for batch in (2, 4, 7)]
    for name in deaths:
        (flags / name).touch()
    members = [*grid([1, 2, 3], [0]), *grid([1], [1.5]), [f"{ES}.patience=9"]]
    assert compare(common, members, deaths=len(deaths)) == {}
    assert not any(flags.iterdir())


@pytest.mark.slow
def test_the_command_survives_kills_and_proves_what_it_gives(keepbest, tmp_path, differences, record_of):
    (tmp_path / "killed_within.py").write_text(DIES)
    flags = tmp_path / "flags"
    flags.mkdir()
    settings = ["trainer=cpu", *FAST, QUARTERS, "trainer.max_epochs=12", f"{ES}.min_delta=0.02", "logger=csv",
                f"+callbacks.dies={{_target_: killed_within.Dies, flags: {flags}, kills: true}}"]  # fmt: skip
    sweep = ["train", "-m", *settings, f"{ES}.patience=2,5", "hydra.sweep.dir=s"]
    for name in ("0-8", "3-5"):
        (flags / name).touch()
    for command in (sweep, ["resume", "s"]):
        killed = keepbest(command, tmp_path)
        assert killed.returncode == 1
        assert signal.SIGKILL.name in killed.stderr
    done = keepbest([*sweep, "hydra.sweeper.prove=2"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert not any(flags.iterdir())
    assert "proved: 2 trained on their own gave the same, bit for bit" in done.stdout
    records = [record_of(tmp_path / "s" / number) for number in "01"]
    assert [record["stopping"]["reason"] for record in records] == ["patience_exhausted"] * 2
    for number in "01":
        *_, last = (tmp_path / "s" / number / "metrics.csv").read_text().splitlines()
        assert int(last.split(",")[1]) % BATCHES, "it stopped within an epoch"
    assert {record["trajectory"]["members"] for record in records} == {2}
    assert [record["last"] for record in records] == [None, None]
    for number in "01":
        assert {path.name for path in (tmp_path / "s" / number / "checkpoints").iterdir()} == {"best.ckpt"}
        assert differences(tmp_path / "s" / number, tmp_path / "s" / "proofs" / number) == []
    assert not list((tmp_path / "s" / "trajectories").glob("*/kept"))
