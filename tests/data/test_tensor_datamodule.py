"""What the base promises to every data module: settings, splits, statistics, loaders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from keepbest.data.samples import Samples
from keepbest.data.tensor_datamodule import TensorDataModule
from keepbest.errors import ConfigError, DataError


class Numbers(TensorDataModule):
    """Sample i has the input i; a tenth of the samples is of class 1."""

    task = "classification"
    standardize = True
    size = 100
    loads = 0

    def load(self) -> Samples:
        self.loads += 1
        numbers = np.arange(self.size)
        return Samples(numbers[:, None], (numbers % 10 == 0).astype(int), classes=("other", "tenth"))


class Values(Numbers):
    task = "regression"

    def load(self) -> Samples:
        samples = super().load()
        return Samples(samples.inputs, 1000.0 + samples.inputs[:, 0])


class WithTestSet(Numbers):
    has_test_set = True

    def load(self) -> Samples:
        samples = super().load()
        return Samples(samples.inputs, samples.targets, samples.classes, test_size=40)


def set_up(kind: type[TensorDataModule] = Numbers, **settings: Any) -> TensorDataModule:
    data = kind(**settings)
    data.setup("fit")
    return data


def batches(loader: Any, field: int) -> torch.Tensor:
    return torch.cat([batch[field] for batch in loader])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, r"batch_size must be an integer of at least 1, got 0\. Set data.batch_size to 1 or more"),
        ({"batch_size": 2.0}, "batch_size must be an integer of at least 1, got 2.0"),
        ({"batch_size": True}, "batch_size must be an integer of at least 1, got True"),
        ({"batch_size": "64"}, "batch_size must be an integer of at least 1, got '64'"),
        ({"num_workers": -1}, "num_workers must be an integer of at least 0, got -1"),
        ({"split_seed": -1}, "split_seed must be an integer of at least 0, got -1"),
        (
            {"val_fraction": 0.0},
            r"val_fraction must be a fraction between 0 and 1.*got 0.0\. Set .*data.val_fraction=0.2",
        ),
        ({"test_fraction": 1}, "test_fraction must be a fraction between 0 and 1.*got 1"),
        ({"test_fraction": None}, "test_fraction must be a fraction between 0 and 1.*got None"),
        ({"val_fraction": float("nan")}, "val_fraction must be a fraction between 0 and 1.*got nan"),
        (
            {"val_fraction": 0.5, "test_fraction": 0.5},
            r"val_fraction and test_fraction must sum to less than 1.*got 1\.0",
        ),
    ],
)
def test_settings_that_cannot_work_are_named_with_their_value(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Numbers(**settings)


def test_splits_are_disjoint_complete_and_of_the_size_asked_for() -> None:
    splits = set_up(val_fraction=0.3, test_fraction=0.1).split_indices
    assert {name: len(indices) for name, indices in splits.items()} == {"train": 60, "val": 30, "test": 10}
    assert sorted(np.concatenate(list(splits.values()))) == list(range(100))


def test_splits_hold_each_class_in_its_share() -> None:
    data = set_up(val_fraction=0.3, test_fraction=0.1)
    shares = {split: np.mean(indices % 10 == 0) for split, indices in data.split_indices.items()}
    assert shares == {"train": 0.1, "val": 0.1, "test": 0.1}


def test_split_follows_its_own_seed_alone() -> None:
    torch.manual_seed(1)
    first = set_up(split_seed=3).split_indices
    torch.manual_seed(2)
    again, other = set_up(split_seed=3).split_indices, set_up(split_seed=4).split_indices
    for split, indices in first.items():
        assert indices.tolist() == again[split].tolist()
        assert indices.tolist() != other[split].tolist()


def test_source_with_a_test_set_keeps_it_and_validates_on_a_share_of_the_rest() -> None:
    data = set_up(WithTestSet, val_fraction=0.5)
    assert data.split_indices["test"].tolist() == list(range(60, 100))
    assert len(data.split_indices["val"]) == len(data.split_indices["train"]) == 30


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (4, {"val_fraction": 0.1}, "the val split of Numbers must not be empty: of 4 samples, val_fraction=0.1"),
        (4, {"test_fraction": 0.1}, "the test split .* Change the fractions, or provide more samples"),
        (2, {"val_fraction": 0.4, "test_fraction": 0.4}, "the train split .* of 2 samples"),
    ],
)
def test_fractions_that_leave_a_split_empty_are_refused(
    monkeypatch: pytest.MonkeyPatch, size: int, settings: dict[str, float], message: str
) -> None:
    monkeypatch.setattr(Numbers, "size", size)
    with pytest.raises(ConfigError, match=message):
        set_up(**settings)


def test_no_samples_are_no_fault_of_the_fractions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Numbers, "size", 0)
    with pytest.raises(DataError, match="the train split of Numbers must not be empty: there is no sample at all"):
        set_up()


def test_inputs_are_standardised_by_training_statistics_only() -> None:
    data = set_up()
    train = data.split_indices["train"].astype(float)
    assert data.input_standardizer is not None
    np.testing.assert_allclose(data.input_standardizer.mean, train.mean())
    np.testing.assert_allclose(data.input_standardizer.scale, train.std())
    expected = (data.split_indices["val"] - train.mean()) / train.std()
    np.testing.assert_allclose(batches(data.val_dataloader(), 0)[:, 0], expected, rtol=1e-5)


def test_raw_samples_are_those_of_the_split_before_they_are_standardised() -> None:
    data = set_up(Values)
    assert data.target_standardizer is not None
    for split, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        raw, served = batches(data.raw_dataloader(split), 1).numpy(), batches(loader, 1).numpy()
        np.testing.assert_allclose(data.target_standardizer.transform(raw), served, rtol=1e-5)
        assert raw.tolist() != served.tolist()


def test_regression_targets_are_standardised_by_training_statistics_and_lead_back() -> None:
    data = set_up(Values)
    assert data.target_standardizer is not None
    np.testing.assert_allclose(data.target_standardizer.mean, 1000 + data.split_indices["train"].mean())
    targets = batches(data.test_dataloader(), 1)
    assert targets.dtype == torch.float32
    np.testing.assert_allclose(data.target_standardizer.inverse(targets.numpy()), 1000 + data.split_indices["test"])


def test_setup_loads_once_whatever_the_trainer_calls() -> None:
    data = set_up()
    splits = data.split_indices
    for stage in ("validate", "test", None):
        data.setup(stage)
    assert data.loads == 1
    assert data.split_indices is splits


def test_loaders_work_without_a_trainer() -> None:
    data = Numbers()
    assert len(batches(data.predict_dataloader(), 0)) == 20
    assert data.num_outputs == 2


def test_only_training_batches_are_shuffled_and_none_is_dropped() -> None:
    data = set_up(batch_size=7)
    torch.manual_seed(0)
    epochs = [batches(data.train_dataloader(), 0)[:, 0] for _ in range(2)]
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(epochs[0].sort().values, epochs[1].sort().values)
    assert len(epochs[0]) == 60
    for loader in (data.val_dataloader(), data.test_dataloader(), data.predict_dataloader()):
        in_order = batches(loader, 0)[:, 0]
        assert torch.equal(in_order, in_order.sort().values)
        assert len(in_order) == 20


def test_torch_seed_decides_the_order_of_training_batches() -> None:
    data = set_up()
    orders = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        orders.append(batches(data.train_dataloader(), 0)[:, 0].tolist())
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_worker_processes_yield_the_same_training_batches() -> None:
    orders = []
    for num_workers in (0, 2):
        data = set_up(num_workers=num_workers)
        torch.manual_seed(0)
        orders.append([batches(data.train_dataloader(), 0).tolist() for _ in range(2)])
    assert orders[0] == orders[1]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_every_epoch_draws_equally_from_the_global_generator(num_workers: int) -> None:
    """A resumed run starts its loader anew; it must then shuffle like the run that went on."""
    loader = set_up(num_workers=num_workers).train_dataloader()
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        list(loader)
        states.append(torch.get_rng_state())
    assert torch.equal(states[0], states[1])
