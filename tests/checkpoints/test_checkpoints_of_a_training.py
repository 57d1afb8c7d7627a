"""What a real trainer writes through DurableCheckpointIO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import OmegaConf
from torch.utils.data import DataLoader, TensorDataset

from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.checkpoints.hashing import sha256_of
from keepbest.checkpoints.loading import read_checkpoint
from keepbest.errors import KeepbestError

# a network among the hyperparameters and callbacks that differ on resuming are what these tests are about
pytestmark = pytest.mark.filterwarnings(
    "ignore:Attribute 'net'", "ignore:Be aware that when using `ckpt_path`", "ignore:.*LeafSpec"
)


class Model(LightningModule):
    """One weight, and a score that is best after the second epoch."""

    def __init__(self, net: torch.nn.Module, settings: Any) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.net = net

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.net(batch[0]).square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("score", [3.0, 1.0, 2.0][self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


class Data(LightningDataModule):
    """Eight numbers."""

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.ones(8, 1)), batch_size=4)

    val_dataloader = train_dataloader


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[DurableCheckpointIO, Path]:
    folder = tmp_path_factory.mktemp("training")
    io = DurableCheckpointIO()
    keepers = [
        ModelCheckpoint(folder, filename="best-{epoch}", monitor="score"),
        ModelCheckpoint(folder, filename="last", enable_version_counter=False),
    ]
    trainer = Trainer(
        accelerator="cpu", max_epochs=3, logger=False, callbacks=keepers, plugins=[io],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    settings = OmegaConf.create({"lr": 0.1, "data": {"path": Path("x")}})
    trainer.fit(Model(torch.nn.Linear(1, 1), settings), datamodule=Data({"path": Path("x"), "settings": settings}))
    return io, folder


def test_the_hashes_are_those_of_the_files_that_are_left(trained: tuple[DurableCheckpointIO, Path]) -> None:
    io, folder = trained
    assert {path.name for path in folder.iterdir()} == {"best-epoch=1.ckpt", "last.ckpt"}
    assert io.sha256 == {path: sha256_of(path) for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["best-epoch=1.ckpt", "last.ckpt"])
def test_the_files_hold_nothing_but_tensors_and_plain_containers(
    trained: tuple[DurableCheckpointIO, Path], name: str
) -> None:
    path = trained[1] / name
    assert torch.serialization.get_unsafe_globals_in_checkpoint(str(path)) == []
    content = read_checkpoint(path, trained[0].sha256[path])
    assert content["hyper_parameters"] == {"settings": {"lr": 0.1, "data": {"path": "x"}}}
    assert content["datamodule_hyper_parameters"]["settings"]["settings"]["lr"] == 0.1


def test_lightning_resumes_from_such_a_file(trained: tuple[DurableCheckpointIO, Path]) -> None:
    trainer = Trainer(
        accelerator="cpu", max_epochs=3, logger=False, enable_checkpointing=False, plugins=[DurableCheckpointIO()],
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    model = Model(torch.nn.Linear(1, 1), {})
    trainer.fit(model, datamodule=Data({}), ckpt_path=trained[1] / "best-epoch=1.ckpt", weights_only=True)
    assert trainer.current_epoch == 3
    last = read_checkpoint(trained[1] / "last.ckpt", None)["state_dict"]
    assert {name: value.item() for name, value in model.state_dict().items()} == {
        name: value.item() for name, value in last.items()
    }


def test_what_a_later_checkpoint_adds_is_looked_at_too(tmp_path: Path) -> None:
    io = DurableCheckpointIO()
    io.save_checkpoint({"state_dict": {}}, tmp_path / "last.ckpt")
    with pytest.raises(KeepbestError, match=r"a checkpoint must hold only tensors and plain containers.*pathlib"):
        io.save_checkpoint({"state_dict": {}, "added": Path("x")}, tmp_path / "last.ckpt")
    assert read_checkpoint(tmp_path / "last.ckpt", None) == {"state_dict": {}}
