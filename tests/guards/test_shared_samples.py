"""Validation samples that are training samples are counted through the dataset objects that both draw from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Sampler, Subset, SubsetRandomSampler, TensorDataset

from keepbest.guards.dataset_parts import sources_of
from keepbest.guards.shared_samples import percent, shared_samples

TEN = TensorDataset(torch.arange(10))
OTHER = TensorDataset(torch.arange(10))


class Own(Sampler[int]):
    def __iter__(self) -> Any:
        return iter([0])

    def __len__(self) -> int:
        return 1


def part(*indices: int) -> Subset[Any]:
    return Subset(TEN, indices)


def told(val: Any, *train: Any) -> str | None:
    (source,) = sources_of(val if isinstance(val, DataLoader) else DataLoader(val))
    loaders = [each if isinstance(each, DataLoader) else DataLoader(each) for each in train]
    assert source is not None
    return shared_samples(source, [each for each in sources_of(loaders) if each is not None])


def counted(count: int, share: str) -> str:
    return f"{count} samples of the same dataset object in both loaders: {share} of the validation data"


SAME = "the same dataset object (TensorDataset) in both loaders"
# validation, training, what is told
SHARED: dict[str, tuple[Any, list[Any], str | None]] = {
    "the same object": (TEN, [TEN], SAME),
    "the same object, beside another": (TEN, [OTHER, TEN], SAME),
    "the same object in a concatenation": (TEN, [ConcatDataset([OTHER, TEN])], SAME),
    "another object": (TEN, [OTHER], None),
    "subsets that overlap": (part(1, 2, 3, 4), [part(0, 1)], counted(1, "25.0 %")),
    "subsets that do not": (part(1, 2), [part(0, 3)], None),
    "a subset of all": (part(1, 2), [TEN], counted(2, "100.0 %")),
    "all, and a subset trained on": (TEN, [part(1, 2, 2)], counted(2, "20.0 %")),
    "two subsets trained on": (part(1, 2, 3), [part(1, 9), part(1, 2)], counted(2, "66.7 %")),
    "samples twice in the validation": (part(1, 1, 2, 2), [part(1)], counted(1, "50.0 %")),
    "a part of a concatenation": (ConcatDataset([OTHER, part(1, 2)]), [part(1)], counted(1, "8.3 %")),
    "samplers that overlap": (
        DataLoader(TEN, sampler=SubsetRandomSampler([1, 2])), [DataLoader(TEN, sampler=SubsetRandomSampler([2]))],
        counted(1, "50.0 %"),
    ),
    "samplers that do not": (
        DataLoader(TEN, sampler=SubsetRandomSampler([1, 2])), [DataLoader(TEN, sampler=SubsetRandomSampler([3]))], None,
    ),
    "an unknown sampler in training": (TEN, [DataLoader(TEN, sampler=Own())], None),
    "an unknown sampler in validation": (DataLoader(TEN, sampler=Own()), [TEN], None),
    "no training": (TEN, [], None),
}  # fmt: skip


@pytest.mark.parametrize(("val", "train", "expected"), SHARED.values(), ids=SHARED)
def test_shared_samples_are_told_with_their_share(val: Any, train: list[Any], expected: str | None) -> None:
    assert told(val, *train) == expected


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [(12, 360, "3.3 %"), (360, 360, "100.0 %"), (1, 100_000, "less than 0.1 %"), (1, 1000, "0.1 %")],
)
def test_a_share_has_one_decimal_and_is_never_zero(count: int, total: int, text: str) -> None:
    assert percent(count, total) == text
