"""Each model with random data that suits it, and a trainer that leaves nothing behind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from keepbest.models import CNNClassifier, MLPClassifier, MLPRegressor, UNetSegmenter


class RandomData(LightningDataModule):
    """Samples of a task, drawn from a seed; knows its sizes once it is set up, as the contract says."""

    def __init__(self, task: str, input_shape: tuple[int, ...], num_outputs: int, samples: int = 23) -> None:
        super().__init__()
        self.task = task
        self._sizes = input_shape, num_outputs
        random = torch.Generator().manual_seed(0)
        inputs = torch.randn(samples, *input_shape, generator=random)
        if task == "regression":
            targets = torch.randn(samples, num_outputs, generator=random).squeeze(1)
        else:
            shape = input_shape[1:] if task == "segmentation" else ()
            targets = torch.randint(num_outputs, (samples, *shape), generator=random)
        self.samples = TensorDataset(inputs, targets)

    def setup(self, stage: str) -> None:
        self.input_shape, self.num_outputs = self._sizes

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.samples, batch_size=5)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


@dataclass
class Case:
    """A model, kept tiny, and the data that it is for."""

    model: type[LightningModule]
    task: str
    input_shape: tuple[int, ...]
    num_outputs: int
    architecture: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.model.__name__}-{self.num_outputs}"

    def make(self, **arguments: Any) -> LightningModule:
        """Make the model; it does not know its sizes."""
        return self.model(**self.architecture, **arguments)

    def make_sized(self, **arguments: Any) -> LightningModule:
        """Make the model with its sizes."""
        return self.make(input_shape=self.input_shape, num_outputs=self.num_outputs, **arguments)

    def data(self, **arguments: Any) -> RandomData:
        """Make the data module."""
        return RandomData(self.task, self.input_shape, self.num_outputs, **arguments)


CASES = [
    Case(MLPClassifier, "classification", (1, 4, 4), 3, {"hidden_sizes": [16], "dropout": 0.0}),
    Case(CNNClassifier, "classification", (2, 7, 5), 4, {"channels": [8, 16]}),
    Case(MLPRegressor, "regression", (6,), 1, {"hidden_sizes": [16, 16]}),
    Case(MLPRegressor, "regression", (6,), 2, {"hidden_sizes": [16, 16]}),
    Case(UNetSegmenter, "segmentation", (1, 8, 4), 3, {"base_channels": 8, "depth": 2}),
]


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    torch.manual_seed(0)
    return request.param


@pytest.fixture
def classification() -> Case:
    """One case, for what does not depend on the model."""
    torch.manual_seed(0)
    return CASES[0]


@pytest.fixture
def make_trainer(tmp_path) -> Callable[..., Trainer]:
    def make(**settings: Any) -> Trainer:
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        return Trainer(
            **{"accelerator": "cpu", "logger": False, "default_root_dir": tmp_path, "max_epochs": 1} | quiet | settings
        )

    return make
