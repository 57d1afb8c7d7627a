"""A run that was moved gives the same score and the same predictions, bit for bit, in a fresh interpreter elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import keepbest

ASK = """
import json, sys
import keepbest

directory, how, inputs = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
run = keepbest.open_run(directory, **how)
assert "torch" not in sys.modules, "a record is read without torch"
outputs = run.predict(inputs)
print(json.dumps({
    "score": run.evaluate()[run.record["objective"]["monitor"]],
    "recorded": run.record["best_model_score"],
    "outputs": outputs.tolist(),
    "directory": str(run.directory),
    "plot": len(run.plot().axes),
    "optimizer": type(run.load_model().configure_optimizers()).__name__,
}))
"""

MODULE = """
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Curve(LightningModule):
    def __init__(self, net, optimizer):
        super().__init__()
        self.net, self.optimizer = net, optimizer

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch):
        return nn.functional.mse_loss(self(batch[0]), batch[1])

    def validation_step(self, batch):
        self.log("val_loss", self.training_step(batch))

    def configure_optimizers(self):
        return self.optimizer["factory"](self.parameters())


class Points(LightningDataModule):
    def loader(self, begin, shuffle=False):
        x = torch.arange(begin, begin + 60.0).reshape(30, 2) / 60
        return DataLoader(TensorDataset(x, x.sin().sum(1, keepdim=True)), 7, shuffle=shuffle)

    def train_dataloader(self):
        return self.loader(0, shuffle=True)

    def val_dataloader(self):
        return self.loader(30)
"""
NAME = "curves_that_move"


def ask(directory: Path, cwd: Path, how: dict, inputs: list, path: Path | None = None) -> dict:
    """Open a run in a fresh interpreter, in another working directory."""
    environment = dict(os.environ)
    if path:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(path), environment.get("PYTHONPATH")]))
    command = [sys.executable, "-c", ASK, str(directory), json.dumps(how), json.dumps(inputs)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["directory"] == str(directory)
    assert answer["score"] == answer["recorded"]
    return answer


@contextmanager
def moved(directory: Path, place: Path) -> Iterator[Path]:
    """Move a directory that other tests need too, so that nothing is left where it was, for the length of a block."""
    place.parent.mkdir(parents=True, exist_ok=True)
    directory.rename(place)
    try:
        yield place
    finally:
        place.rename(directory)


@pytest.fixture
def elsewhere(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def test_the_default_run(default_run, tmp_path, elsewhere):
    here = keepbest.open_run(default_run[1])
    inputs = next(iter(here.datamodule().val_dataloader()))[0]
    expected = here.predict(inputs).tolist()
    with moved(default_run[1], tmp_path / "a b" / "moved") as place:
        assert not default_run[1].exists()
        answer = ask(place, elsewhere, {}, inputs.tolist())
    assert answer["outputs"] == expected
    assert answer["optimizer"] == "Adam", "the nested _partial_"
    assert answer["plot"] == 1
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("how", [{"modules": [NAME]}, pytest.param({"trust": True}, marks=pytest.mark.slow)], ids=str)
def test_a_run_of_a_users_own_module_with_nested_partials(run_job, tmp_path, elsewhere, monkeypatch, how):
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / f"{NAME}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(modules)
    job_dir, _ = run_job(
        "~model", "~data", f"+model._target_={NAME}.Curve", f"+data._target_={NAME}.Points",
        "+model.net._target_=torch.nn.Linear", "+model.net.in_features=2", "+model.net.out_features=1",
        "+model.optimizer.factory._target_=torch.optim.SGD", "+model.optimizer.factory._partial_=true",
        "+model.optimizer.factory.lr=0.1", "trainer.max_epochs=3",
    )  # fmt: skip
    inputs = [[0.25, -1.5], [3.0, 0.125]]
    expected = keepbest.open_run(job_dir, modules=[NAME]).predict(inputs).tolist()
    with moved(job_dir, tmp_path / "moved") as place:
        answer = ask(place, elsewhere, how, inputs, modules)
    assert answer["outputs"] == expected
    assert answer["optimizer"] == "SGD"
    sys.modules.pop(NAME, None)


def test_a_member_of_a_sweep_that_was_moved_with_it(trained_sweep, tmp_path, elsewhere):
    best = keepbest.open_sweep(trained_sweep).best()
    inputs = next(iter(best.datamodule().val_dataloader()))[0][:5]
    expected = best.predict(inputs).tolist()
    with moved(trained_sweep, tmp_path / "moved") as place:
        assert not trained_sweep.exists()
        assert keepbest.open_sweep(place).best().evaluate()["val_loss"] == best.record["best_model_score"]
        answer = ask(place / best.directory.name, elsewhere, {}, inputs.tolist())
    assert answer["outputs"] == expected
