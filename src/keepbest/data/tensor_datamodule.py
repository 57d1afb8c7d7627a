"""The base of keepbest's own data modules: everything but where the samples come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from keepbest.data.samples import Samples
from keepbest.data.settings import check_fractions, check_integer
from keepbest.data.splits import Indices, hold_out
from keepbest.data.standardizer import Standardizer
from keepbest.data.tensors import Batch, TensorTable, whole_batch
from keepbest.errors import ConfigError, DataError


class TensorDataModule(LightningDataModule, ABC):
    """Splits, standardises and serves samples that fit in memory. A subclass says what they are, in `load`.

    Batches are `(inputs, targets)`: inputs float32 `[B, *input_shape]`; targets int64 `[B]` for classification, float32
    `[B]` for regression (standardised, see `target_standardizer`), int64 `[B, H, W]` for segmentation. Training batches
    are shuffled by torch's global generator, which `seed_everything` governs; the others keep their order.

    Args:
        batch_size: samples per batch.
        val_fraction: share of the samples to validate on, in (0, 1).
        test_fraction: share of the samples to test on, in (0, 1).
        split_seed: decides which sample goes where; separate from the training seed, so that runs of several seeds
            share their splits.
        num_workers: processes that fetch batches; 0 is fastest for samples in memory.

    Attributes:
        task: `classification`, `regression` or `segmentation`.
        standardize: whether inputs are brought to zero mean and unit variance, by training statistics only.
        has_test_set: whether `load` brings a test set of its own; `test_fraction` is not used then, and `val_fraction`
            is a share of the other samples.

    Attributes that `setup` adds:
        input_shape: shape of one sample's input, without the batch.
        num_outputs: number of classes, mask classes or regression targets.
        classes: label of each class number; empty for regression.
        split_indices: for `train`, `val` and `test`, the positions of its samples in what `load` returned.
        input_standardizer: the statistics used on the inputs, or None.
        target_standardizer: the statistics used on regression targets, or None; `inverse` leads back to their unit.

    Raises:
        ConfigError: a setting that cannot work; from `setup`, fractions that leave a split empty.
        DataError: from `setup`, where there are no samples.
    """

    task: str
    standardize: bool = False
    has_test_set: bool = False

    input_shape: tuple[int, ...]
    num_outputs: int
    classes: tuple[Any, ...]
    split_indices: dict[str, Indices]
    input_standardizer: Standardizer | None = None
    target_standardizer: Standardizer | None = None

    def __init__(
        self,
        *,
        batch_size: int = 64,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        check_integer("batch_size", batch_size, minimum=1)
        check_integer("split_seed", split_seed, minimum=0)
        check_integer("num_workers", num_workers, minimum=0)
        self.fractions = {"val_fraction": val_fraction}
        if not self.has_test_set:
            self.fractions["test_fraction"] = test_fraction
        check_fractions(self.fractions)
        self.batch_size, self.split_seed, self.num_workers = batch_size, split_seed, num_workers
        self._tables: dict[str, TensorTable] = {}

    @abstractmethod
    def load(self) -> Samples:
        """Return all samples, in an order that is the same each time."""

    def setup(self, stage: str | None = None) -> None:
        """Load and split, once: the trainer calls this before fitting, validating and testing."""
        if self._tables:
            return
        samples = self.load()
        self.split_indices = self._split(samples)
        self.input_shape = tuple(samples.inputs.shape[1:])
        self.classes = samples.classes
        self.num_outputs = len(samples.classes) or 1
        self._tables = self._build_tables(samples)

    def _split(self, samples: Samples) -> dict[str, Indices]:
        rng = np.random.default_rng(self.split_seed)
        classes = samples.targets if self.task == "classification" else None
        pool, test = np.split(np.arange(len(samples)), [len(samples) - samples.test_size])
        splits = {"train": pool, "val": pool[:0], "test": test}
        for setting, fraction in self.fractions.items():
            count = round(fraction * len(pool))
            splits["train"], splits[setting.removesuffix("_fraction")] = hold_out(splits["train"], count, rng, classes)
        self._require_samples(splits)
        return splits

    def _require_samples(self, splits: dict[str, Indices]) -> None:
        total = sum(len(indices) for indices in splits.values())
        settings = " and ".join(f"{name}={value:g}" for name, value in self.fractions.items())
        for split, indices in splits.items():
            if len(indices) == 0:
                rule = f"the {split} split of {type(self).__name__} must not be empty"
                if not total:
                    raise DataError(f"{rule}: there is no sample at all. Provide samples.")
                raise ConfigError(
                    f"{rule}: of {total} samples, {settings} leave none for it",
                    remedy="Change the fractions, or provide more samples",
                )

    def _build_tables(self, samples: Samples) -> dict[str, TensorTable]:
        train = self.split_indices["train"]
        inputs, targets = samples.inputs, samples.targets
        if self.standardize:
            self.input_standardizer = Standardizer.fit(inputs[train])
            inputs = self.input_standardizer.transform(inputs)
        if self.task == "regression":
            self.target_standardizer = Standardizer.fit(targets[train])
            targets = self.target_standardizer.transform(targets)
        return {split: self._table(inputs[chosen], targets[chosen]) for split, chosen in self.split_indices.items()}

    def _table(self, inputs: NDArray[Any], targets: NDArray[Any]) -> TensorTable:
        target_type = torch.float32 if self.task == "regression" else torch.int64
        return TensorTable(torch.from_numpy(inputs).to(torch.float32), torch.from_numpy(targets).to(target_type))

    def _loader(self, split: str, *, shuffle: bool = False) -> DataLoader[Batch]:
        # No persistent workers: their second epoch draws one number less from the global generator than a first one,
        # so a resumed run would shuffle differently from an uninterrupted one.
        self.setup()
        return DataLoader(
            self._tables[split],
            batch_size=self.batch_size,
            shuffle=shuffle,
            num_workers=self.num_workers,
            collate_fn=whole_batch,
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the training batches, shuffled anew each epoch."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the validation batches, in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the test batches, in order."""
        return self._loader("test")

    def raw_dataloader(self, split: str) -> DataLoader[Batch]:
        """Return the samples of a split as `load` returns them, in order: not standardised, to be told from others.

        Args:
            split: "train", "val" or "test".
        """
        self.setup()
        samples, chosen = self.load(), self.split_indices[split]
        table = self._table(samples.inputs[chosen], samples.targets[chosen])
        return DataLoader(table, batch_size=self.batch_size, collate_fn=whole_batch)

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Return the test batches."""
        return self._loader("test")
