"""A module that counts its training steps, and a trainer that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset


class Counting(LightningModule):
    """One weight and 20 samples, trained in 4 batches; logs `val_loss` and `val_acc`, and `train_loss` by step."""

    def __init__(self, *, train: int = 20, val: int | None = 20, drop_last: bool = False) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.sizes = {"train": train, "val": val or 0}
        self.drop_last = drop_last
        self.steps = 0

    def loader(self, part: str) -> DataLoader[Any]:
        data = TensorDataset(torch.ones(self.sizes[part], 1))
        return DataLoader(data, batch_size=5, drop_last=self.drop_last, shuffle=part == "train")

    def train_dataloader(self) -> DataLoader[Any]:
        return self.loader("train")

    def val_dataloader(self) -> DataLoader[Any]:
        return self.loader("val")

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.steps += 1
        loss = self.layer(batch[0]).square().mean()
        self.log("train_loss", loss, on_step=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log_dict({"val_loss": 0.5, "val_acc": 0.5})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def counting() -> type[Counting]:
    return Counting


@pytest.fixture
def make_trainer() -> Callable[..., Trainer]:
    """Make a trainer of two epochs on the CPU, with settings of its own."""

    def make(*callbacks: Any, **settings: Any) -> Trainer:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        quiet["enable_model_summary"] = False
        return Trainer(**{"accelerator": "cpu", "max_epochs": 2, "callbacks": list(callbacks), **quiet, **settings})

    return make
