"""What a loader draws from: the datasets at the bottom of its subsets, and which of their samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from numpy.typing import NDArray
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

Indices = NDArray[np.int64]


class Part(NamedTuple):
    """Samples of a dataset that is neither a `Subset` nor a `ConcatDataset`; `indices` is None for all of them."""

    base: Any
    indices: Indices | None

    @property
    def size(self) -> int:
        """The number of different samples."""
        return len(self.base) if self.indices is None else len(np.unique(self.indices))


@dataclass(frozen=True)
class Source:
    """A loader, seen through its subsets and samplers.

    Attributes:
        loader: the loader.
        positions: which samples of the loader's dataset it can draw, None for all of them.
        parts: the same samples, as parts of the datasets at the bottom.
        is_certain: whether the sampler is of a kind that is known; if not, the loader may draw less than it says here.
    """

    loader: DataLoader[Any]
    positions: Indices | None
    parts: tuple[Part, ...]
    is_certain: bool

    @property
    def size(self) -> int:
        """The number of samples that it can draw."""
        return len(self.loader.dataset) if self.positions is None else len(self.positions)  # type: ignore[arg-type]

    @property
    def is_map_style(self) -> bool:
        """Whether single samples can be read by their position."""
        dataset = self.loader.dataset
        has_access = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
        return has_access and not isinstance(dataset, IterableDataset)

    def shares_base_with(self, others: list[Source]) -> bool:
        """Whether another source draws from one of the same dataset objects."""
        bases = {id(part.base) for other in others for part in other.parts}
        return any(id(part.base) in bases for part in self.parts)


def sources_of(loaders: object) -> list[Source | None]:
    """Return a source for each loader in a nested collection, in Lightning's order; None for what is no DataLoader."""
    if isinstance(loaders, CombinedLoader):
        loaders = loaders.flattened
    if isinstance(loaders, Mapping):
        loaders = list(loaders.values())
    if isinstance(loaders, (list, tuple)):
        return [source for each in loaders for source in sources_of(each)]
    return [_source(loaders) if isinstance(loaders, DataLoader) else None]


def _source(loader: DataLoader[Any]) -> Source:
    dataset = loader.dataset
    # Datasets and samplers may be the user's own, and do anything when they are asked.
    with suppress(Exception):
        # beside a batch sampler of the user's own, loader.sampler is a mere default
        sampler = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
        positions = _drawn(sampler, len(dataset))  # type: ignore[arg-type]
        return Source(loader, positions, tuple(_parts(dataset, positions)), is_certain=True)
    with suppress(Exception):
        return Source(loader, None, tuple(_parts(dataset, None)), is_certain=False)
    return Source(loader, None, (Part(dataset, None),), is_certain=False)


def _drawn(sampler: Any, size: int) -> Indices | None:
    """Return the positions that a sampler can draw from a dataset of some size, None for all.

    Only the very classes are known: a subclass may draw something else. A sampler's own dataset need not be the
    loader's: `RandomSampler(range(100))` draws the first 100. With several processes each draws its share of all.

    Raises:
        TypeError: the sampler is of no known kind.
    """
    kind = type(sampler)
    if kind is BatchSampler:
        return _drawn(sampler.sampler, size)
    if kind is DistributedSamplerWrapper:
        return _drawn(sampler.dataset._sampler, size)
    if kind is WeightedRandomSampler:
        return np.flatnonzero(np.asarray(sampler.weights))
    if kind is SubsetRandomSampler:
        return _as_indices(sampler.indices, size)
    if kind in (list, tuple, range):
        return _as_indices(sampler, size)
    if kind in (SequentialSampler, RandomSampler):
        return _first(len(sampler.data_source), size)
    if kind is DistributedSampler:
        return _first(len(sampler.dataset), size)
    raise TypeError(f"unknown sampler {kind.__name__}")


def _first(count: int, size: int) -> Indices | None:
    return None if count == size else np.arange(count)


def _as_indices(indices: Any, size: int) -> Indices:
    array = np.asarray(indices)
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"indices must be a list of whole numbers, got {array.ndim} dimensions of {array.dtype}")
    array = array.astype(np.int64, copy=False)
    return np.where(array < 0, array + size, array)


def _parts(dataset: Any, positions: Indices | None) -> Iterator[Part]:
    if isinstance(dataset, Subset):
        chosen = _as_indices(dataset.indices, len(dataset.dataset))  # type: ignore[arg-type]
        yield from _parts(dataset.dataset, chosen if positions is None else chosen[positions])
    elif isinstance(dataset, ConcatDataset):
        starts = [0, *dataset.cumulative_sizes]
        for member, start, stop in zip(dataset.datasets, starts, starts[1:], strict=False):
            yield from _parts(member, _between(positions, start, stop))
    else:
        yield Part(dataset, positions)


def _between(positions: Indices | None, start: int, stop: int) -> Indices | None:
    if positions is None:
        return None
    return positions[(positions >= start) & (positions < stop)] - start
