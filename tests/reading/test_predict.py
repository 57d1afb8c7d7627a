"""`run.predict`: what the best model gives for a batch, however the batch is handed over."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import keepbest
from keepbest.errors import ConfigError, IntegrityError

MODULE = """
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Pairs(LightningModule):
    def __init__(self, width=3):
        super().__init__()
        self.save_hyperparameters()
        self.embed = nn.Embedding(7, width)
        self.net = nn.Linear(width, 1)
        self.drop = nn.Dropout(0.9)

    def forward(self, words, weights=None):
        if isinstance(words, dict):
            words, weights = words["words"], words["weights"]
        out = self.net(self.drop(self.embed(words))).squeeze(-1)
        return {"out": out if weights is None else out * weights, "words": [words]}

    def training_step(self, batch):
        return self(*batch)["out"].square().mean()

    def validation_step(self, batch):
        self.log("val_loss", self(*batch)["out"].square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-4)


class Words(LightningDataModule):
    def loader(self, begin):
        words = torch.arange(begin, begin + 40) % 7
        return DataLoader(TensorDataset(words, torch.arange(begin, begin + 40.0)), 10)

    def train_dataloader(self):
        return self.loader(0)

    def val_dataloader(self):
        return self.loader(100)
"""


@pytest.fixture
def run(honest_run):
    return keepbest.open_run(honest_run)


@pytest.fixture
def images(run):
    return next(iter(run.datamodule().val_dataloader()))[0]


@pytest.fixture
def pairs(run_job, tmp_path, monkeypatch):
    (tmp_path / "pairs_to_predict.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    job_dir, _ = run_job(
        "~model", "~data", "+model._target_=pairs_to_predict.Pairs", "+data._target_=pairs_to_predict.Words",
        "trainer.max_epochs=2",
    )  # fmt: skip
    return keepbest.open_run(job_dir, modules=["pairs_to_predict"])


def test_it_gives_what_the_loaded_model_gives(run, images):
    with torch.no_grad():
        expected = run.load_model()(images)
    for inputs in (
        images, images.double(), images.half().float(), images.numpy(), images.numpy().astype(">f8"), list(images),
        images.tolist(), images.numpy()[::-1][::-1], (images,), list(images.numpy()),
    ):  # fmt: skip
        assert torch.equal(run.predict(inputs), expected)
    found = run.predict(images)
    assert found.device.type == "cpu"
    assert not found.requires_grad
    assert not found.is_inference()


def test_inputs_are_not_changed(run, images):
    array = images.numpy().astype(np.float64)
    array.setflags(write=False)
    before = array.copy()
    run.predict(array)
    assert (array == before).all()


def test_the_model_is_loaded_once_and_again_for_another_best(copied, edit_record, images, monkeypatch):
    from keepbest.records.store import read_record

    run = keepbest.open_run(copied)
    loaded = []
    load = type(run).load_model
    monkeypatch.setattr(type(run), "load_model", lambda self, device: loaded.append(device) or load(self, device))
    run.predict(images)
    run.predict(images)
    assert loaded == ["cpu"]
    edit_record(copied, best_step=read_record(copied).best_step + 1)
    run.predict(images)
    assert loaded == ["cpu", "cpu"]


def test_a_best_that_was_replaced_since_is_the_one_that_predicts(copied, replace_checkpoint, images):
    run = keepbest.open_run(copied)
    before = run.predict(images)
    path = copied / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    for weight in content["state_dict"].values():
        weight.zero_()
    torch.save(content, path)
    replace_checkpoint(copied, path.read_bytes())
    assert run.predict(images).abs().sum() == 0
    assert before.abs().sum() > 0


def test_the_processs_generators_are_left_alone(run, images):
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    run.predict(images)
    run.load_model()
    assert states[0] == random.getstate()
    assert states[1] == np.random.get_state()[1].tolist()
    assert torch.equal(states[2], torch.get_rng_state())


def test_whole_numbers_stay_whole_and_a_tuple_holds_several_arguments(pairs):
    words = [1, 2, 3]
    one = pairs.predict(words)
    assert torch.equal(one["words"][0], torch.tensor(words))
    two = pairs.predict((words, np.array([0.0, 1.0, 2.0])))
    assert torch.equal(two["out"], one["out"] * torch.tensor([0.0, 1.0, 2.0]))
    named = pairs.predict({"words": words, "weights": [0.0, 1.0, 2.0]})
    assert torch.equal(named["out"], two["out"])
    assert torch.equal(pairs.predict(words)["out"], one["out"]), "no dropout"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.zeros(2, 5), r"takes, got float32 \[2, 5\]\. It was trained on samples of shape \[1, 8, 8\]"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), r"MLPClassifier\.forward takes, got uint8 \[2, 1, 8, 8\]"),
        ((torch.zeros(2, 64), torch.zeros(2)), r"got float32 \[2, 64\], float32 \[2\].*TypeError"),
        ("digits.png", "inputs must be numbers that fit in one tensor: TypeError"),
        ([[1.0], [2.0, 3.0]], "inputs must be numbers that fit in one tensor"),
        (None, "inputs must be numbers .* got 'NoneType'"),
        ([torch.zeros(2), torch.zeros(3)], "inputs must be numbers that fit in one tensor"),
        ({"x": object()}, "inputs must be numbers"),
    ],
)
def test_what_the_model_does_not_take_is_refused_in_plain_words(run, inputs, message):
    with pytest.raises(ConfigError, match=f"(?s){message}") as caught:
        run.predict(inputs)
    assert len(str(caught.value)) < 1000
    assert caught.value.exit_status == 2


def test_a_device_that_is_not_there_is_told(run, images):
    with pytest.raises(ConfigError, match="device must be one of this machine"):
        run.predict(images, device="cuda:99")


def test_a_damaged_checkpoint_predicts_nothing(copied, images):
    path = copied / "checkpoints" / "best.ckpt"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="must have the sha256"):
        keepbest.open_run(copied).predict(images)
