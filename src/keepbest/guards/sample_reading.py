"""Reading samples for a comparison: some of them where there are many, and never for long."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from torch.utils.data import DataLoader, Dataset, get_worker_info

from keepbest.guards.dataset_parts import Source
from keepbest.guards.own_generators import own_generators_restored
from keepbest.guards.sample_digests import digest

T = TypeVar("T")

_SEED = 0  # the same choice in every run
_CHUNK = 64  # samples that a worker reads before it answers
_GRACE_SECONDS = 1.0  # for the answer to a chunk that was ended by the time
_START_SECONDS = 5.0  # what a worker that is not forked needs to start: it imports torch, and the user's program


class Reading(NamedTuple):
    """The digests of the samples that were read, and how many there are in all."""

    digests: list[bytes]
    total: int

    @property
    def is_complete(self) -> bool:
        """Whether every sample was read."""
        return len(self.digests) == self.total


def read_digests(sources: list[Source], seconds: float, max_samples: int) -> Reading:
    """Return the digests of the samples that some sources draw, in a fixed pseudo-random order.

    Several sources share the time evenly. A source whose loader reads in workers is read in a worker too, with the same
    start method, so that its dataset stays untouched in this process. Random states are left to the caller, but for
    the generators that a dataset keeps for itself.

    Args:
        sources: of map style.
        seconds: when to end. A sample that is being read then is read to its end. Workers that are not forked take
            seconds to start; they are left out where that much time is not given.
        max_samples: the most samples to read, of all sources together.

    Raises:
        Exception: whatever a dataset raises.
        UnhashableSampleError: a sample cannot be compared.
    """
    end = time.monotonic() + seconds
    digests: list[bytes] = []
    for number, (source, positions) in enumerate(zip(sources, _choice(sources, max_samples), strict=True)):
        now = time.monotonic()
        digests += _read(source.loader, positions, now + (end - now) / (len(sources) - number))
    return Reading(digests, sum(source.size for source in sources))


def _choice(sources: list[Source], max_samples: int) -> Iterator[list[int]]:
    """Yield for each source the positions to read. The order is random because time may run out anywhere."""
    total = sum(source.size for source in sources)
    chosen = np.random.default_rng(_SEED).choice(total, min(total, max_samples), replace=False)
    start = 0
    for source in sources:
        stop = start + source.size
        mine = chosen[(chosen >= start) & (chosen < stop)] - start
        yield (mine if source.positions is None else source.positions[mine]).tolist()
        start = stop


def _read(loader: DataLoader[Any], positions: list[int], end: float) -> list[bytes]:
    digests = _Digests(loader.dataset, end)
    if loader.num_workers:
        return _read_in_worker(loader, digests, positions)
    with own_generators_restored(loader.dataset):
        return digests[positions]


def _read_in_worker(loader: DataLoader[Any], digests: _Digests, positions: list[int]) -> list[bytes]:
    left = digests.end - time.monotonic()
    if left < (0 if _start_method(loader) == "fork" else _START_SECONDS):
        return []
    reader = DataLoader(
        digests,
        batch_size=None,
        sampler=[positions[start : start + _CHUNK] for start in range(0, len(positions), _CHUNK)],
        collate_fn=_as_it_is,
        num_workers=1,
        worker_init_fn=partial(_prepare_worker, loader.worker_init_fn),
        multiprocessing_context=loader.multiprocessing_context,
        timeout=left + _GRACE_SECONDS,
    )
    return _collect(reader, digests.end)


def _collect(reader: DataLoader[list[bytes]], end: float) -> list[bytes]:
    found: list[bytes] = []
    try:
        for chunk in reader:
            found += chunk
            if time.monotonic() >= end:
                break
    except RuntimeError:
        if time.monotonic() < end:  # later it is the loader's timeout, which is no fault of the dataset
            raise
    return found


class _Digests(Dataset[list[bytes]]):
    """The digests of a dataset's samples, many at a time, until the time is over.

    It reads sample by sample: a dataset's `__getitems__` may return whole batches.
    """

    def __init__(self, dataset: Any, end: float) -> None:
        self.dataset, self.end = dataset, end

    def __getitem__(self, positions: list[int]) -> list[bytes]:
        found: list[bytes] = []
        for position in positions:
            if time.monotonic() >= self.end:
                break
            found.append(digest(self.dataset[position]))
        return found


def _prepare_worker(worker_init_fn: Callable[[int], object] | None, worker_id: int) -> None:
    """Show the user's function, and the dataset, the dataset that they know as the worker's."""
    info: Any = get_worker_info()
    object.__setattr__(info, "dataset", info.dataset.dataset)  # torch freezes it
    if worker_init_fn is not None:
        worker_init_fn(worker_id)


def _as_it_is(chunk: T) -> T:
    return chunk


def _start_method(loader: DataLoader[Any]) -> str | None:
    context: Any = loader.multiprocessing_context or multiprocessing
    return str(context.get_start_method())
