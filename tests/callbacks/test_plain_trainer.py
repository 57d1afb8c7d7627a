"""Both callbacks in a plain `lightning.pytorch.Trainer`: the lines of the source texts, and two gloo ranks."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint as StockModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

from keepbest.callbacks.early_stopping import EarlyStopping
from keepbest.callbacks.model_checkpoint import ModelCheckpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")

MODULE = """
import json, sys
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch.utils.data import DataLoader, TensorDataset

class LitModel(LightningModule):
    def __init__(self, lr: float = 0.02):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.BatchNorm1d(32), torch.nn.Linear(32, 1))
    def loss(self, batch):
        return torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss
    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch), sync_dist=SYNC)
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

def samples(count):
    x = torch.randn(count, 4)
    return TensorDataset(x, x.sum(1, keepdim=True) + torch.randn(count, 1))

SYNC = True
seed_everything(0)
train_loader, val_loader = DataLoader(samples(32), batch_size=8, shuffle=True), DataLoader(samples(32), batch_size=8)
model = LitModel()
"""

ARTICLE = """
from keepbest import EarlyStopping, ModelCheckpoint

early_stopping = EarlyStopping(
    monitor='val_loss',
    patience=3,
    mode='min',
    restore_best_weights=True
)
checkpoint_callback = ModelCheckpoint(
    dirpath='checkpoints',
    filename='best_model',
    monitor='val_loss',
    mode='min',
    save_best_only=True
)
trainer = Trainer(max_epochs=100, callbacks=[early_stopping, checkpoint_callback], QUIET)
trainer.fit(model, train_loader, val_loader)

best_model_path = checkpoint_callback.best_model_path
best_model = LitModel.load_from_checkpoint(best_model_path)
best_model.eval()
"""
QUIET = 'accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False'


def run_script(text: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    script = cwd / "script.py"
    script.write_text(MODULE + textwrap.dedent(text).replace("QUIET", QUIET))
    command = [sys.executable, "-W", "ignore", script.name]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


def test_the_lines_of_the_source_texts_run_as_written(tmp_path: Path) -> None:
    """And the weights in memory, those of the file and the recorded score are one and the same thing."""
    done = run_script(
        ARTICLE
        + """
        (again,) = trainer.validate(model, val_loader, verbose=False)
        (loaded,) = trainer.validate(best_model, val_loader, verbose=False)
        same = all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), best_model.state_dict().values()))
        print(json.dumps([
            trainer.current_epoch, early_stopping.best_epoch, early_stopping.stopped_epoch, same,
            checkpoint_callback.best_model_score.item(), again["val_loss"], loaded["val_loss"],
        ]))
        """.replace("\n        ", "\n"),
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    epochs, best_epoch, stopped_epoch, same, recorded, in_memory, from_file = json.loads(done.stdout.splitlines()[-1])
    assert epochs < 100
    assert stopped_epoch == epochs - 1 == best_epoch + 3
    assert same
    assert recorded == in_memory == from_file
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["best_model.ckpt"]


TWO_RANKS = """
from keepbest import EarlyStopping, ModelCheckpoint

early_stopping = EarlyStopping("val_loss", patience=3, restore_best_weights=True)
name = "{epoch}-{train_loss:.6f}"
keeper = ModelCheckpoint("checkpoints", filename=name, monitor="val_loss", save_last="every_epoch")
trainer = Trainer(
    max_epochs=30, callbacks=[early_stopping, keeper], QUIET, strategy="ddp", devices=2, use_distributed_sampler=True,
)
trainer.fit(model, train_loader, val_loader)
weights = [weight.double().sum().item() for weight in model.parameters()]
kept = torch.load(keeper.best_model_path, weights_only=True)
mine = dict(
    rank=trainer.global_rank, epochs=trainer.current_epoch, best_epoch=early_stopping.best_epoch,
    score=early_stopping.best_model_score, keeper_score=float(keeper.best_model_score), path=keeper.best_model_path,
    weights=weights, kept=[kept["state_dict"][name].double().sum().item() for name, _ in model.named_parameters()],
)
open(f"rank{trainer.global_rank}.json", "w").write(json.dumps(mine))
"""


def test_two_ranks_restore_the_same_best_and_name_the_same_file(tmp_path: Path) -> None:
    """The file's name holds a metric that the ranks log without agreeing on it."""
    done = run_script(TWO_RANKS, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert (first.pop("rank"), second.pop("rank")) == (0, 1)
    assert first == second
    assert first["epochs"] < 30
    assert first["weights"] == first["kept"]
    assert first["score"] == first["keeper_score"]
    files = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert files == {"last.ckpt", Path(first["path"]).name}


@pytest.mark.slow
@pytest.mark.parametrize("callbacks", ["[early_stopping]", "[keeper]"])
def test_ranks_that_see_different_values_end_with_the_reason(tmp_path: Path, callbacks: str) -> None:
    """Lightning's would go on, each rank with another best."""
    text = TWO_RANKS.replace("[early_stopping, keeper]", callbacks)
    done = run_script("SYNC = False\n" + text, tmp_path)
    assert done.returncode != 0
    for said in "every rank must see the same val_loss", "self.log('val_loss', ..., sync_dist=True)":
        assert said in done.stderr, done.stderr[-2000:]
    assert not (tmp_path / "rank0.json").exists()


# Timing: one batch per epoch, as in the text that claims restore_best_weights to restore the wrong epoch.


class OneBatch(LightningModule):
    """Trained and validated on the same single batch, so that only the moment of the measurement differs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def loss(self, batch: Any) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.05)  # so large that the loss goes up and down


def fit_one_batch(*callbacks: Any) -> tuple[OneBatch, DataLoader[Any], Trainer]:
    seed_everything(1, verbose=False)
    x = torch.randn(16, 4)
    loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16)
    module = OneBatch()
    trainer = Trainer(
        max_epochs=6, callbacks=list(callbacks), logger=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu", enable_checkpointing=bool(callbacks) and isinstance(callbacks[0], StockModelCheckpoint),
        log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, loader, loader)
    return module, loader, trainer


def test_a_training_loss_describes_weights_that_are_gone(tmp_path: Path) -> None:
    """The phenomenon: the weights kept for the best train_loss have the loss of the epoch after it."""
    keeper = StockModelCheckpoint(tmp_path, monitor="train_loss", save_top_k=-1)
    module, loader, trainer = fit_one_batch(keeper)
    logged = sorted((int(torch.load(path, weights_only=True)["epoch"]), float(score), path)
                    for path, score in keeper.best_k_models.items())  # fmt: skip
    for (_, score, path), (_, next_score, _) in pairwise(logged):
        (restored,) = trainer.validate(module, loader, ckpt_path=path, weights_only=True, verbose=False)
        assert restored["val_loss"] != pytest.approx(score, rel=0.01)
        assert restored["val_loss"] == pytest.approx(next_score, rel=1e-6)


def test_with_a_validation_loss_the_restored_weights_give_the_recorded_score_exactly(tmp_path: Path) -> None:
    stopper = EarlyStopping("val_loss", patience=9, restore_best_weights=True)
    module, loader, trainer = fit_one_batch(stopper)
    (restored,) = trainer.validate(module, loader, verbose=False)
    assert restored["val_loss"] == stopper.best_model_score
    keeper = ModelCheckpoint(tmp_path, monitor="val_loss")
    module, loader, trainer = fit_one_batch(keeper)
    (restored,) = trainer.validate(module, loader, ckpt_path="best", weights_only=True, verbose=False)
    assert restored["val_loss"] == float(keeper.best_model_score) == stopper.best_model_score
