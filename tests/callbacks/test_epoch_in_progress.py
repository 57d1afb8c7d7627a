"""What a checkpoint in the middle of an epoch holds beyond Lightning's, in a trainer of one's own."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, TensorDataset

from keepbest.callbacks.epoch_in_progress import EpochInProgress
from keepbest.callbacks.model_checkpoint import ModelCheckpoint
from keepbest.callbacks.random_states import RandomStates
from keepbest.errors import DataError

Make = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")


class Dropping(LightningModule):
    """A weight behind a dropout, on 20 samples in random order, in 10 batches an epoch."""

    samples = 20

    def __init__(self, **log: Any) -> None:
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Linear(4, 1))
        self.how = log

    def train_dataloader(self) -> DataLoader[Any]:
        inputs = torch.arange(self.samples * 4.0).reshape(-1, 4) / 40
        return DataLoader(TensorDataset(inputs), batch_size=2, shuffle=True)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss, on_epoch=True, **self.how)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Copies(Callback):
    """Puts aside the last checkpoint of an epoch's seventh batch."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *batch: Any) -> None:
        (keeper,) = trainer.checkpoint_callbacks
        if trainer.global_step == 17:
            shutil.copy(keeper.last_model_path, Path(keeper.last_model_path).with_name("copy.ckpt"))


@pytest.fixture
def fit(make_trainer: Make, tmp_path: Path) -> Callable[..., tuple[Trainer, LightningModule]]:
    """Fit for two epochs, in a directory of its own."""

    def run(
        module: LightningModule, folder: str, ckpt_path: Path | None = None, **settings: Any
    ) -> tuple[Trainer, LightningModule]:
        keeper = ModelCheckpoint(
            tmp_path / folder, save_top_k=0, save_last="every_epoch", save_last_every_n_train_steps=4
        )
        watching = [EpochInProgress(), RandomStates(), keeper, Copies()]
        trainer = make_trainer(*watching, enable_checkpointing=True, max_epochs=2, **settings)
        trainer.fit(module, ckpt_path=ckpt_path, weights_only=True)
        return trainer, module

    return run


def weights_of(module: LightningModule) -> list[list[float]]:
    return [parameter.flatten().tolist() for parameter in module.parameters()]


def test_a_trainer_of_ones_own_goes_on_exactly(fit: Make, tmp_path: Path) -> None:
    torch.manual_seed(3)
    whole, module = fit(Dropping(), "whole")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "You're resuming from a checkpoint that ended before")  # Lightning's
        resumed, other = fit(Dropping(), "resumed", tmp_path / "whole" / "copy.ckpt")
    assert resumed.global_step == whole.global_step == 20
    assert weights_of(module) == weights_of(other)
    assert float(whole.callback_metrics["loss_epoch"]) == float(resumed.callback_metrics["loss_epoch"])


def test_without_these_callbacks_lightning_begins_the_data_anew(fit: Make, tmp_path: Path, make_trainer: Make) -> None:
    """What the docstring of ModelCheckpoint says."""
    torch.manual_seed(3)
    whole, _ = fit(Dropping(), "whole")
    trainer = make_trainer(max_epochs=2)
    with pytest.warns(UserWarning, match="You're resuming from a checkpoint that ended before the epoch ended"):
        trainer.fit(Dropping(), ckpt_path=tmp_path / "whole" / "copy.ckpt", weights_only=True)
    assert trainer.global_step == 20
    assert float(trainer.callback_metrics["loss_epoch"]) != float(whole.callback_metrics["loss_epoch"])


def test_fewer_batches_than_before_are_an_error(fit: Make, tmp_path: Path) -> None:
    fit(Dropping(), "whole")
    fewer = Dropping()
    fewer.samples = 10
    with pytest.raises(DataError, match="it had trained on 6 of this epoch, and there are 5 now"):
        fit(fewer, "resumed", tmp_path / "whole" / "copy.ckpt")


def test_another_number_of_processes_is_told(fit: Make, tmp_path: Path) -> None:
    fit(Dropping(), "whole")
    path = tmp_path / "whole" / "copy.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["keepbest_epoch_in_progress"] *= 2
    torch.save(checkpoint, path)
    with pytest.warns(
        UserWarning, match="by 2 processes, and there are 1 now: the rest of the epoch sees other batches"
    ):
        trainer, _ = fit(Dropping(), "resumed", path)
    assert trainer.global_step == 20


def test_what_is_logged_for_a_group_of_processes_is_left_out_with_a_warning(fit: Make, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="'loss' is logged with a sync_dist_group, which no checkpoint can hold"):
        fit(Dropping(sync_dist_group=object()), "whole")
    trainer, _ = fit(Dropping(sync_dist_group=object()), "resumed", tmp_path / "whole" / "copy.ckpt")
    assert trainer.global_step == 20


def test_a_second_fit_of_the_same_trainer_begins_anew(fit: Make, tmp_path: Path) -> None:
    fit(Dropping(), "whole")
    trainer, _ = fit(Dropping(), "resumed", tmp_path / "whole" / "copy.ckpt")
    trainer.fit_loop.max_epochs = 3
    trainer.fit(Dropping())
    assert trainer.global_step == 30
