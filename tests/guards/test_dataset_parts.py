"""A loader is taken apart into datasets and samples: what it draws, through subsets, concatenations and samplers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from keepbest.guards.dataset_parts import Source, sources_of

TEN = TensorDataset(torch.arange(10))
FIVE = TensorDataset(torch.arange(5))


def shards(sampler: Any) -> Any:
    return DistributedSamplerWrapper(sampler, num_replicas=2, rank=0)


def source_of(loader: Any) -> Source:
    (source,) = sources_of(loader)
    assert source is not None
    return source


def parts_of(loader: Any) -> list[tuple[Any, list[int] | None]]:
    return [(part.base, None if part.indices is None else part.indices.tolist()) for part in source_of(loader).parts]


# what the loader is made of, and the samples of TEN that it draws
DRAWN: dict[str, tuple[Callable[[], DataLoader[Any]], list[int] | None]] = {
    "in order": (lambda: DataLoader(TEN), None),
    "shuffled": (lambda: DataLoader(TEN, shuffle=True), None),
    "without batches": (lambda: DataLoader(TEN, batch_size=None), None),
    "a share of all": (lambda: DataLoader(TEN, sampler=DistributedSampler(TEN, num_replicas=2, rank=0)), None),
    "a sampler over something shorter": (lambda: DataLoader(TEN, sampler=RandomSampler(range(3))), [0, 1, 2]),
    "in order, over something shorter": (lambda: DataLoader(TEN, sampler=SequentialSampler(range(2))), [0, 1]),
    "a random subset": (lambda: DataLoader(TEN, sampler=SubsetRandomSampler([7, 2])), [7, 2]),
    "tensors as indices": (lambda: DataLoader(TEN, sampler=SubsetRandomSampler(torch.tensor([7, 2]))), [7, 2]),
    "a list as sampler": (lambda: DataLoader(TEN, sampler=[1, 4]), [1, 4]),
    "weights": (lambda: DataLoader(TEN, sampler=WeightedRandomSampler([0, 1, 0, 2] + [0] * 6, 5)), [1, 3]),
    "a batch sampler": (
        lambda: DataLoader(TEN, batch_sampler=BatchSampler(SubsetRandomSampler([3]), 2, drop_last=False)), [3],
    ),
    "a batch sampler as sampler": (
        lambda: DataLoader(TEN, batch_size=None, sampler=BatchSampler(SubsetRandomSampler([3]), 2, drop_last=False)),
        [3],
    ),
    "Lightning's shares of a subset": (lambda: DataLoader(TEN, sampler=shards(SubsetRandomSampler([5, 6]))), [5, 6]),
    "a subset": (lambda: DataLoader(Subset(TEN, [4, 5])), [4, 5]),
    "a subset of a subset": (lambda: DataLoader(Subset(Subset(TEN, [4, 5, 6]), [2, 0])), [6, 4]),
    "a sampler on a subset": (lambda: DataLoader(Subset(TEN, [4, 5, 6]), sampler=SubsetRandomSampler([1])), [5]),
    "an array as indices": (lambda: DataLoader(Subset(TEN, np.array([4, 5]))), [4, 5]),
    "tensors in a list": (lambda: DataLoader(Subset(TEN, list(torch.tensor([4, 5])))), [4, 5]),
    "negative indices": (lambda: DataLoader(Subset(TEN, [-1])), [9]),
    "an empty subset": (lambda: DataLoader(Subset(TEN, [])), []),
}  # fmt: skip


@pytest.mark.parametrize(("make", "drawn"), DRAWN.values(), ids=DRAWN)
def test_what_is_drawn_is_told_in_samples_of_the_dataset_at_the_bottom(
    make: Callable[[], DataLoader[Any]], drawn: list[int] | None
) -> None:
    loader = make()
    assert parts_of(loader) == [(TEN, drawn)]
    assert source_of(loader).is_certain


def test_a_concatenation_is_its_members() -> None:
    assert parts_of(DataLoader(ConcatDataset([FIVE, TEN]))) == [(FIVE, None), (TEN, None)]


def test_a_subset_of_a_concatenation_is_shared_out() -> None:
    nested = ConcatDataset([Subset(TEN, [9, 8]), FIVE])
    assert parts_of(DataLoader(Subset(nested, [1, 2, 6]))) == [(TEN, [8]), (FIVE, [0, 4])]


class Evens(Sampler[int]):
    def __iter__(self) -> Any:
        return iter(range(0, 10, 2))

    def __len__(self) -> int:
        return 5


class EvenBatches(BatchSampler):
    def __iter__(self) -> Any:
        yield [0, 2, 4]


UNKNOWN: dict[str, Callable[[], DataLoader[Any]]] = {
    "a sampler of one's own": lambda: DataLoader(TEN, sampler=Evens()),
    "in a batch sampler": lambda: DataLoader(TEN, batch_sampler=BatchSampler(Evens(), 2, drop_last=False)),
    "in Lightning's shares": lambda: DataLoader(TEN, sampler=shards(Evens())),
    "a batch sampler of one's own": lambda: DataLoader(TEN, batch_sampler=EvenBatches(Evens(), 2, drop_last=False)),
    "lists of indices": lambda: DataLoader(TEN, batch_sampler=[[0, 1], [2]]),
    "keys": lambda: DataLoader(TEN, sampler=SubsetRandomSampler(["a", "b"])),  # type: ignore[list-item]
}


@pytest.mark.parametrize("make", UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_sampler_may_draw_anything_and_nothing_is_certain(make: Callable[[], DataLoader[Any]]) -> None:
    assert not source_of(make()).is_certain
    assert parts_of(make()) == [(TEN, None)]


class Broken(Dataset[int]):
    def __getitem__(self, index: int) -> int:
        return index

    def __len__(self) -> int:
        raise RuntimeError("no length before the files are open")


class Stream(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(range(3))


@pytest.mark.parametrize("dataset", [Stream(), Subset(Broken(), [-1])], ids=["a stream", "a dataset that raises"])
def test_what_cannot_be_taken_apart_is_one_part_and_not_certain(dataset: Dataset[int]) -> None:
    source = source_of(DataLoader(dataset, batch_size=2))
    assert not source.is_certain
    assert [part.base for part in source.parts] == [dataset]


def test_a_stream_has_no_samples_to_be_read_by_position() -> None:
    assert not source_of(DataLoader(Stream())).is_map_style
    assert source_of(DataLoader(TEN)).is_map_style


def test_collections_of_loaders_keep_their_order_and_other_things_their_place() -> None:
    one, two, three = DataLoader(TEN), DataLoader(FIVE), DataLoader(TEN)
    found = sources_of({"a": one, "b": [two, range(3), (CombinedLoader([three]),)], "c": None})
    assert [source and source.loader for source in found] == [one, two, None, three, None]


def test_the_size_counts_what_is_drawn() -> None:
    assert source_of(DataLoader(TEN)).size == 10
    assert source_of(DataLoader(TEN, sampler=SubsetRandomSampler([7, 2]))).size == 2
    (part,) = source_of(DataLoader(Subset(TEN, [3, 3, 4]))).parts
    assert part.size == 2
