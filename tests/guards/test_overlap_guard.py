"""Validation samples that are training samples are told before the first training step, in real trainings."""

from __future__ import annotations

import logging
import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    Sampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    random_split,
)

from keepbest.data.digits import Digits
from keepbest.errors import ConfigError, DataError
from keepbest.guards.overlap import OverlapGuard

Make = Callable[..., Any]
Fit = Callable[..., "Blind"]

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*LeafSpec", "ignore:.*`val_dataloader`.*shuffling"
)
LOADERS = (DataLoader, list, dict, CombinedLoader)
REFUSED = "^training and validation data must not overlap, got "
SAME = r"the same dataset object \(TensorDataset\) in both loaders\. Give validation samples of its own"


class Blind(LightningModule):
    """Trains and validates on whatever comes, without looking at it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.steps = 0

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.steps += 1
        return self.weight.square()

    def validation_step(self, *args: Any) -> None: ...

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def fit(make_trainer: Make) -> Fit:
    """Train one step under a guard that has all the time it wants."""

    def run(train: Any, val: Any, *others: Any, guard: OverlapGuard | None = None, **settings: Any) -> Blind:
        module = Blind()
        trainer = make_trainer(guard or OverlapGuard(max_seconds=60), *others, **{"max_steps": 1, **settings})
        trainer.fit(module, *(each if isinstance(each, LOADERS) else DataLoader(each) for each in (train, val)))
        return module

    return run


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """Return the level and the text of each line that the guard has said, debug lines included."""
    caplog.set_level(logging.DEBUG, "keepbest")
    return lambda: [
        (each.levelname, each.getMessage()) for each in caplog.records if each.name == "keepbest.guards.overlap"
    ]


Told = Callable[[], list[tuple[str, str]]]


def rows(*numbers: int) -> TensorDataset:
    """A dataset of its own, a sample for each number."""
    return TensorDataset(torch.tensor(numbers, dtype=torch.float32)[:, None])


DATA = rows(*range(20))


def drawn(dataset: Any, *indices: int) -> DataLoader[Any]:
    return DataLoader(dataset, sampler=SubsetRandomSampler(indices))


def of_two_processes(dataset: Any) -> DataLoader[Any]:
    return DataLoader(dataset, sampler=DistributedSampler(dataset, num_replicas=2, rank=0))


def counted(count: int, share: str) -> str:
    return rf"{count} samples of the same dataset object in both loaders: {share} of the validation data\. Give"


OVERLAPS: dict[str, tuple[Any, Any, str]] = {
    "the same object": (DATA, DATA, SAME),
    "the same object, shuffled": (DataLoader(DATA, shuffle=True), DATA, SAME),
    "the same loader": (loader := DataLoader(DATA), loader, SAME),
    "the same object, for several processes": (of_two_processes(DATA), of_two_processes(DATA), SAME),
    "subsets": (Subset(DATA, range(12)), Subset(DATA, range(10, 20)), counted(2, "20.0 %")),
    "nested subsets": (
        Subset(Subset(DATA, range(10, 20)), [0, 1]), Subset(Subset(DATA, range(5, 15)), [5, 9]), counted(1, "50.0 %"),
    ),
    "a concatenation": (ConcatDataset([rows(50), Subset(DATA, [1, 2])]), Subset(DATA, [2, 3]), counted(1, "50.0 %")),
    "samplers": (drawn(DATA, 1, 2, 3), drawn(DATA, 3, 4), counted(1, "50.0 %")),
    "a dict of loaders": ({"a": drawn(DATA, 1), "b": drawn(DATA, 2)}, drawn(DATA, 2), counted(1, "100.0 %")),
    "a combined loader": (CombinedLoader([DataLoader(DATA)]), DATA, SAME),
    "every one of several validations": (DATA, [DataLoader(DATA), drawn(DATA, 3)], SAME),
}  # fmt: skip


@pytest.mark.parametrize(("train", "val", "text"), OVERLAPS.values(), ids=OVERLAPS)
def test_drawing_the_same_samples_of_a_dataset_object_is_refused(fit: Fit, train: Any, val: Any, text: str) -> None:
    with pytest.raises(DataError, match=REFUSED + text):
        fit(train, val)


def test_it_is_refused_before_the_first_step_and_on_every_rank(
    make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = Blind()
    trainer = make_trainer(OverlapGuard())
    monkeypatch.setattr(type(trainer.strategy), "is_global_zero", False)
    with pytest.raises(DataError, match=REFUSED):
        trainer.fit(module, DataLoader(DATA), DataLoader(DATA))
    assert module.steps == 0


class Halves(Sampler[int]):
    """A sampler that nobody knows: the first or the second half."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Any:
        return iter(range(self.start, self.start + 10))

    def __len__(self) -> int:
        return 10


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(torch.zeros(3, 1))


class Foreign:
    """Some iterable that is no DataLoader."""

    def __iter__(self) -> Any:
        return iter(torch.zeros(3, 1))


split = random_split(DATA, [15, 5], torch.Generator().manual_seed(0))
STREAM = Stream()
# what is right, or cannot be told
PASSING: dict[str, tuple[Any, Any]] = {
    "random_split": (split[0], split[1]),
    "disjoint subsets": (Subset(DATA, range(10)), Subset(DATA, range(10, 20))),
    "disjoint samplers": (drawn(DATA, *range(10)), drawn(DATA, *range(10, 20))),
    "disjoint parts of a concatenation": (ConcatDataset([rows(50), Subset(DATA, [1])]), Subset(DATA, [2])),
    "samplers that nobody knows": (DataLoader(DATA, sampler=Halves(0)), DataLoader(DATA, sampler=Halves(10))),
    "two datasets": (rows(1, 2, 3), rows(4, 5)),
    "the same stream": (STREAM, STREAM),
    "streams of the same samples": (Stream(), Stream()),
    "foreign loaders": ([Foreign()], [Foreign()]),
    "a foreign loader beside the training data": (DATA, [Foreign(), Foreign()]),
    "duplicates in the training": (rows(1, 1, 2), rows(3)),
    "duplicates in the validation": (rows(1), rows(3, 3)),
    "other labels": (
        TensorDataset(torch.ones(4, 1), torch.zeros(4)), TensorDataset(torch.ones(4, 1), torch.ones(4)),
    ),
    "other types": (TensorDataset(torch.ones(4, 1)), TensorDataset(torch.ones(4, 1, dtype=torch.float64))),
    "several validations": (rows(1, 2), [DataLoader(rows(3)), DataLoader(rows(4))]),
}  # fmt: skip


@pytest.mark.parametrize(("train", "val"), PASSING.values(), ids=PASSING)
def test_nothing_is_said_of_data_that_is_apart_or_cannot_be_looked_at(
    fit: Fit, told: Told, train: Any, val: Any
) -> None:
    assert fit(train, val).steps == 1
    assert told() == []


def test_the_embedded_data_is_apart(make_trainer: Make, told: Told) -> None:
    trainer = make_trainer(OverlapGuard(max_seconds=60), max_steps=1)
    trainer.fit(Blind(), datamodule=Digits())
    assert told() == []


class Listed(Dataset[Any]):
    def __init__(self, *samples: Any) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


def sample(number: int) -> dict[str, Any]:
    return {"x": [torch.tensor([number]), np.array([number])], "meta": {"name": f"no. {number}", "ok": True}}


IDENTICAL: dict[str, tuple[Any, Any, str]] = {
    "rows": (rows(*range(10)), rows(7, 8, 9, 10, 11, 12), "3 of 6 validation samples (50.0 %)"),
    "counted in the validation": (rows(1, 1, 1, 2), rows(1, 1, 3), "2 of 3 validation samples (66.7 %)"),
    "a few of many": (rows(*range(1000)), rows(*range(999, 2999)), "1 of 2000 validation samples (less than 0.1 %)"),
    "the same tensors": (rows(1, 2), TensorDataset(*rows(1, 2).tensors), "2 of 2 validation samples (100.0 %)"),
    "nested": (
        Listed(sample(1), sample(2)), Listed(sample(3), sample(2)), "1 of 2 validation samples (50.0 %)",
    ),
    "several loaders": (
        {"a": DataLoader(rows(1)), "b": DataLoader(rows(2))}, [DataLoader(rows(2)), DataLoader(rows(1, 5, 6))],
        "2 of 4 validation samples (50.0 %)",
    ),
    "only what is drawn": (drawn(rows(1, 2, 3), 0), drawn(rows(1, 2, 3), 0, 1), "1 of 2 validation samples (50.0 %)"),
    "an unknown sampler": (
        DataLoader(rows(*range(20)), sampler=Halves(0)), rows(5, 30), "1 of 2 validation samples (50.0 %)",
    ),
    "workers": (
        DataLoader(rows(1, 2), num_workers=1), DataLoader(rows(2, 3), num_workers=1),
        "1 of 2 validation samples (50.0 %)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("train", "val", "text"), IDENTICAL.values(), ids=IDENTICAL)
def test_identical_samples_are_counted_in_a_warning(fit: Fit, told: Told, train: Any, val: Any, text: str) -> None:
    assert fit(train, val).steps == 1
    ((level, line),) = told()
    assert level == "WARNING"
    assert line.startswith(f"{text} are identical to training samples; on these the score is that of the training. ")
    assert line.endswith("Remove duplicates before splitting.")


@pytest.mark.parametrize("val", [DataLoader(rows(1)), [DataLoader(rows(2)), DataLoader(DATA)]], ids=["read", "shared"])
def test_other_ranks_than_the_first_read_and_warn_of_nothing(
    make_trainer: Make, told: Told, monkeypatch: pytest.MonkeyPatch, val: Any
) -> None:
    trainer = make_trainer(OverlapGuard(max_seconds=60), max_steps=1)
    monkeypatch.setattr(type(trainer.strategy), "is_global_zero", False)
    trainer.fit(Blind(), [DataLoader(rows(1)), DataLoader(DATA)], val)
    assert told() == []


def test_training_data_validated_on_beside_other_data_is_only_warned_of(fit: Fit, told: Told) -> None:
    assert fit(DATA, [DataLoader(rows(*range(30, 40))), DataLoader(DATA)]).steps == 1
    assert told() == [(
        "WARNING",
        "training and validation data overlap in one of 2 validation loaders (dataloader_idx 1), got the same dataset "
        "object (TensorDataset) in both loaders. Do not stop or keep by its metrics.",
    )]  # fmt: skip


@pytest.mark.parametrize("overfit", [1, 0.5])
def test_overfitting_on_purpose_is_not_looked_at(fit: Fit, told: Told, overfit: float) -> None:
    fit(DATA, DATA, overfit_batches=overfit)
    assert told() == []


def test_a_training_without_validation_is_not_looked_at(make_trainer: Make, fit: Fit, told: Told) -> None:
    fit(DATA, DATA, limit_val_batches=0)
    make_trainer(OverlapGuard(), max_steps=1).fit(Blind(), DataLoader(DATA))
    assert told() == []


class Failing(Listed):
    """Cannot be read before the training has begun."""

    ready = False

    def __getitem__(self, index: int) -> Any:
        if not self.ready:
            raise OSError("no such file")
        return super().__getitem__(index)


class Ready(Callback):
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        trainer.train_dataloader.dataset.ready = True


def test_a_dataset_that_raises_is_left_to_the_training(fit: Fit, told: Told) -> None:
    assert fit(Failing(1, 2), rows(1), Ready()).steps == 1
    assert told() == [("DEBUG", "training and validation samples are not compared: OSError: no such file")]


def test_samples_of_unknown_types_are_given_up(fit: Fit, told: Told) -> None:
    loaders = [DataLoader(Listed({1}), collate_fn=list), DataLoader(Listed({1}), collate_fn=list)]
    assert fit(*loaders).steps == 1
    ((level, line),) = told()
    assert (level, line.rpartition(": ")[2]) == ("DEBUG", "a sample holds a set, which cannot be compared")


def test_a_choice_of_samples_is_said(fit: Fit, told: Told) -> None:
    guard = OverlapGuard(max_seconds=60, max_samples=5)
    fit(rows(*range(20)), rows(30, 31, 32), guard=guard)
    assert told() == [(
        "INFO",
        "looking for validation samples in the training data compared 3 of 3 validation samples with 5 of 20 training "
        "samples, a fixed pseudo-random choice (max_seconds=60, max_samples=5).",
    )]  # fmt: skip


def test_a_choice_is_the_base_of_the_count(fit: Fit, told: Told) -> None:
    fit(rows(*range(10)), rows(*range(10)), guard=OverlapGuard(max_seconds=60, max_samples=5))
    levels = [level for level, _ in told()]
    assert levels == ["WARNING", "INFO"]
    assert told()[0][1].startswith("5 of 5 validation samples (100.0 %)")


class Slow(Listed):
    def __getitem__(self, index: int) -> Any:
        time.sleep(0.01)
        return super().__getitem__(index)


class Timed(Callback):
    """Placed on both sides of the guard, notes when it was reached."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.times.append(time.monotonic())


def test_time_is_limited_for_both_sides_together_and_half_is_kept_for_the_training_samples(
    make_trainer: Make, told: Told
) -> None:
    before, after = Timed(), Timed()
    trainer = make_trainer(before, OverlapGuard(max_seconds=0.4), after, max_steps=1)
    trainer.fit(Blind(), DataLoader(Slow(*range(1000))), DataLoader(Slow(*range(1000, 2000))))
    assert after.times[0] - before.times[0] < 2
    ((level, line),) = told()
    assert (level, line.partition(" samples, a fixed pseudo-random choice ")[2]) == (
        "INFO", "(max_seconds=0.4, max_samples=200000).",
    )  # fmt: skip
    of_val, of_train = (int(count) for count in re.findall(r"(\d+) of 1000", line))
    assert 0 < of_val <= 20
    assert 0 < of_train <= 40


class Augmented(Dataset[Any]):
    """Draws from every global state, and from a generator of its own."""

    def __init__(self) -> None:
        self.own = np.random.default_rng(0)

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Any:
        return torch.tensor([random.random(), np.random.rand(), torch.rand(()), self.own.random()])


class States(Callback):
    """Placed on both sides of the guard, notes every random state."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        own = trainer.train_dataloader.dataset.own.bit_generator.state
        self.seen.append((random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist(), own))


class Raising(Augmented):
    def __getitem__(self, index: int) -> Any:
        super().__getitem__(index)
        raise OSError("no such file")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("val", [Augmented, Raising])
def test_every_random_state_is_what_it_was(make_trainer: Make, workers: int, val: type[Augmented]) -> None:
    before, after = States(), States()
    trainer = make_trainer(before, OverlapGuard(max_seconds=60), after, max_steps=1, num_sanity_val_steps=0)
    loaders = [DataLoader(Augmented(), shuffle=True, num_workers=workers), DataLoader(val(), num_workers=workers)]
    trainer.fit(Blind(), *loaders)
    assert before.seen == after.seen


class Remembering(Blind):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.batches.append(batch.tolist())
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_training_under_the_guard_sees_the_very_same_batches(make_trainer: Make, workers: int) -> None:
    def batches(*guards: Callback) -> list[Any]:
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        module = Remembering()
        loaders = [DataLoader(Augmented(), 4, shuffle=each == 0, num_workers=workers) for each in range(2)]
        make_trainer(*guards).fit(module, *loaders)
        return module.batches

    assert batches(OverlapGuard(max_seconds=60)) == batches()


class Recording(Listed):
    """Notes in a file which process reads."""

    def __init__(self, path: Path, *samples: Any) -> None:
        super().__init__(*samples)
        self.path = path

    def __getitem__(self, index: int) -> Any:
        with self.path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return super().__getitem__(index)


def test_with_workers_no_dataset_is_touched_in_this_process(fit: Fit, told: Told, tmp_path: Path) -> None:
    train, val = (Recording(tmp_path / name, 1.0, 2.0) for name in ("train", "val"))
    fit(DataLoader(train, num_workers=1), DataLoader(val, num_workers=1))
    assert told()[0][0] == "WARNING"  # they were read
    for data in (train, val):
        assert str(os.getpid()) not in data.path.read_text().split()


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), True, "2", None])
def test_seconds_that_cannot_work_are_refused(seconds: Any) -> None:
    with pytest.raises(ConfigError, match=r"^max_seconds must be a number of seconds above 0, got "):
        OverlapGuard(max_seconds=seconds)


@pytest.mark.parametrize("samples", [0, -1, 1.5, True, "2", None])
def test_a_number_of_samples_that_cannot_work_is_refused(samples: Any) -> None:
    with pytest.raises(ConfigError, match=r"^max_samples must be a whole number of samples, at least 1, got "):
        OverlapGuard(max_samples=samples)
