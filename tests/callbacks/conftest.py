"""A module that logs what a script says, and a trainer that leaves nothing behind."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from keepbest.callbacks.history import History
from keepbest.records.run_record import Objective


class Scripted(LightningModule):
    """A weight that is trained on 20 samples in 4 batches; its validation scores are a list.

    Each validation but the sanity check logs the next score as `score`, and its own number as `nth`. A training batch
    logs `loss`, by step and by epoch. The end of an epoch, which Lightning hands to the module after all callbacks,
    logs `wrapped_up`.
    """

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.scores = list(scores)
        self.validations = 0

    def data(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.ones(20, 1)), batch_size=5)

    train_dataloader = val_dataloader = test_dataloader = data

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("wrapped_up", float(self.current_epoch))

    def validation_step(self, batch: Any, batch_idx: int) -> None: ...

    def on_validation_epoch_end(self) -> None:
        sanity = self.trainer.sanity_checking
        self.log("score", -1e9 if sanity else self.scores[self.validations % len(self.scores)])
        self.log("nth", float(self.validations))
        self.validations += not sanity

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_score", 0.5)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def scripted() -> type[Scripted]:
    """The module's class, for what a test changes about it."""
    return Scripted


@pytest.fixture
def make_trainer() -> Callable[..., Trainer]:
    """Make a trainer of three epochs on the CPU, with settings of its own."""

    def make(*callbacks: Any, **settings: Any) -> Trainer:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        quiet["enable_model_summary"] = False
        return Trainer(**{"accelerator": "cpu", "max_epochs": 3, "callbacks": list(callbacks), **quiet, **settings})

    return make


@pytest.fixture
def table_file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


@pytest.fixture
def make_history(table_file: Path) -> Callable[..., History]:
    """Make a history of `score`, lower is better."""

    def make(mode: Any = "min", monitor: str = "score") -> History:
        return History(table_file, Objective(monitor, mode))

    return make


@pytest.fixture
def rows(table_file: Path) -> Callable[..., list[dict[str, str]]]:
    """Read the table; of each row the named columns, empty cells left out."""

    def read(*names: str) -> list[dict[str, str]]:
        if not table_file.exists():
            return []
        with table_file.open(newline="") as file:
            return [
                {key: cell for key, cell in row.items() if cell and (not names or key in names)}
                for row in csv.DictReader(file)
            ]

    return read
