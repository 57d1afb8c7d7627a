"""Samples are read where the user's loader reads them, some of them where there are many, and not for long."""

from __future__ import annotations

import multiprocessing
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, SubsetRandomSampler, TensorDataset, get_worker_info

from keepbest.data.tensors import TensorTable, whole_batch
from keepbest.guards.dataset_parts import Source, sources_of
from keepbest.guards.sample_digests import digest
from keepbest.guards.sample_reading import Reading, read_digests


def sources(*loaders: Any) -> list[Source]:
    return [source for source in sources_of(loaders) if source is not None]


def numbers(count: int, start: int = 0) -> Dataset[Any]:
    return TensorDataset(torch.arange(start, start + count))


def values(reading: Reading, dataset: Any) -> list[int]:
    """Return which of a dataset's samples were read, in the order in which they were."""
    positions = {digest(dataset[index]): index for index in range(len(dataset))}
    return [positions[each] for each in reading.digests]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_sample_is_read_once(workers: int) -> None:
    data = numbers(300)
    reading = read_digests(sources(DataLoader(data, num_workers=workers)), 60, 1000)
    assert sorted(values(reading, data)) == list(range(300))
    assert reading.is_complete


def test_only_what_a_sampler_draws_is_read() -> None:
    data = numbers(10)
    reading = read_digests(sources(DataLoader(Subset(data, [9, 8, 7]), sampler=SubsetRandomSampler([2, 0]))), 60, 1000)
    assert sorted(values(reading, data)) == [7, 9]
    assert reading.total == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_a_dataset_that_fetches_whole_batches_is_read_sample_by_sample(workers: int) -> None:
    table = TensorTable(torch.rand(50, 3), torch.arange(50))
    loader = DataLoader(table, collate_fn=whole_batch, batch_size=2, num_workers=workers)
    assert sorted(values(read_digests(sources(loader), 60, 1000), table)) == list(range(50))


def test_above_the_most_samples_a_fixed_choice_is_read() -> None:
    data = numbers(1000)
    first, again = (read_digests(sources(DataLoader(data, shuffle=True)), 60, 100) for _ in range(2))
    assert first == again
    assert (len(first.digests), first.total, first.is_complete) == (100, 1000, False)
    chosen = values(first, data)
    assert len(set(chosen)) == 100
    assert max(chosen) > 800  # not the beginning


def test_the_choice_is_taken_from_all_sources() -> None:
    reading = read_digests(sources(DataLoader(numbers(500)), DataLoader(numbers(500, start=500))), 60, 100)
    from_first = sum(position < 500 for position in values(reading, numbers(1000)))
    assert 30 < from_first < 70


class Slow(Dataset[int]):
    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> int:
        time.sleep(0.01)
        return index


@pytest.mark.parametrize("workers", [0, 1])
def test_time_ends_the_reading_and_what_was_read_is_kept(workers: int) -> None:
    start = time.monotonic()
    reading = read_digests(sources(DataLoader(Slow(), num_workers=workers)), 0.5, 1000)
    assert time.monotonic() - start < 5
    assert 0 < len(reading.digests) < 60
    chosen = values(reading, range(1000))
    assert chosen == values(read_digests(sources(DataLoader(range(1000))), 60, 1000), range(1000))[: len(chosen)]  # type: ignore[arg-type]


def test_several_sources_share_the_time() -> None:
    reading = read_digests(sources(DataLoader(Slow()), DataLoader(numbers(5))), 0.4, 10_000)
    assert sum(each in {digest(sample) for sample in numbers(5)} for each in reading.digests) == 5  # type: ignore[attr-defined]


def test_no_time_reads_nothing() -> None:
    assert read_digests(sources(DataLoader(numbers(5))), -1, 10) == Reading([], 5)


class Recording(Dataset[int]):
    """Notes in a file which process reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> int:
        with self.path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return index

    def readers(self) -> set[int]:
        return {int(line) for line in self.path.read_text().split()}


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_dataset_is_read_in_a_worker_where_the_loader_has_workers(tmp_path: Path, workers: int) -> None:
    data = Recording(tmp_path / "readers")
    assert read_digests(sources(DataLoader(data, num_workers=workers)), 60, 10).is_complete
    assert len(data.readers()) == 1
    assert (os.getpid() in data.readers()) is (workers == 0)


class OpenedByWorker(Dataset[int]):
    opened: bool | None = None

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        info = get_worker_info()
        assert info is not None
        assert info.dataset is self
        assert self.opened
        return index


def open_in_worker(worker_id: int) -> None:
    info = get_worker_info()
    assert info is not None
    info.dataset.opened = True  # type: ignore[attr-defined]


def test_a_worker_is_prepared_by_the_users_function_on_the_users_dataset() -> None:
    loader = DataLoader(OpenedByWorker(), num_workers=1, worker_init_fn=open_in_worker)
    assert read_digests(sources(loader), 60, 10).is_complete


def test_a_spawned_worker_is_not_started_without_time_for_it(tmp_path: Path) -> None:
    data = Recording(tmp_path / "readers")
    loader = DataLoader(data, num_workers=1, multiprocessing_context="spawn")
    assert read_digests(sources(loader), 1, 10) == Reading([], 5)
    assert not data.path.exists()


def test_a_worker_is_started_as_the_users_are(monkeypatch: pytest.MonkeyPatch) -> None:
    spawn, started = multiprocessing.get_context("spawn"), []

    def process(**settings: Any) -> Any:
        started.append(type(spawn).Process(**settings))
        return started[-1]

    monkeypatch.setattr(spawn, "Process", process)
    loader = DataLoader(numbers(5), num_workers=2, multiprocessing_context=spawn)
    assert read_digests(sources(loader), 120, 10).is_complete
    assert len(started) == 1


class Failing(Dataset[int]):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        raise OSError("no such file")


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_dataset_raises_is_passed_on(workers: int) -> None:
    with pytest.raises(OSError, match="no such file"):
        read_digests(sources(DataLoader(Failing(), num_workers=workers)), 60, 10)


class Dying(Failing):
    def __getitem__(self, index: int) -> int:
        os._exit(1)


def test_a_worker_that_dies_is_not_waited_for_longer_than_the_time() -> None:
    start = time.monotonic()
    with suppress(RuntimeError):  # torch notices at once or never
        assert read_digests(sources(DataLoader(Dying(), num_workers=1)), 1, 10) == Reading([], 3)
    assert time.monotonic() - start < 10
