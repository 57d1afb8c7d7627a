"""A batch is fetched whole, and stays an ordinary dataset's batch for every loader and sampler."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

from keepbest.data.tensors import Batch, TensorTable, whole_batch
from keepbest.errors import DataError


class WholeOnly(TensorTable):
    def __getitem__(self, index: int) -> Batch:
        raise AssertionError("a sample was fetched on its own")


@pytest.fixture
def table() -> TensorTable:
    return WholeOnly(torch.arange(50.0).reshape(10, 5), torch.arange(10))


def test_table_indexes_like_its_tensors() -> None:
    table = TensorTable(torch.arange(50.0).reshape(10, 5), torch.arange(10))
    assert len(table) == 10
    inputs, target = table[3]
    assert inputs.tolist() == [15, 16, 17, 18, 19]
    assert target == 3


def test_table_rejects_tensors_of_different_length() -> None:
    with pytest.raises(DataError, match="same length, got 3 and 4"):
        TensorTable(torch.zeros(3), torch.zeros(4))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loader_yields_what_indexing_gives_without_fetching_single_samples(
    table: TensorTable, num_workers: int
) -> None:
    loader = DataLoader(table, batch_size=4, collate_fn=whole_batch, num_workers=num_workers)
    batches = list(loader)
    assert [len(targets) for _, targets in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([inputs for inputs, _ in batches]), table.inputs)
    assert torch.equal(torch.cat([targets for _, targets in batches]), table.targets)


def test_shuffled_batches_are_permuted_rows(table: TensorTable) -> None:
    torch.manual_seed(0)
    inputs, targets = next(iter(DataLoader(table, batch_size=10, shuffle=True, collate_fn=whole_batch)))
    assert targets.tolist() != list(range(10))
    assert sorted(targets.tolist()) == list(range(10))
    assert torch.equal(inputs, table.inputs[targets])


def test_distributed_sampler_divides_the_rows_between_ranks(table: TensorTable) -> None:
    seen = []
    for rank in (0, 1):
        sampler = DistributedSampler(table, num_replicas=2, rank=rank, shuffle=False)
        for _, targets in DataLoader(table, batch_size=4, sampler=sampler, collate_fn=whole_batch):
            seen += targets.tolist()
    assert sorted(seen) == list(range(10))


def test_collate_function_reaches_worker_processes() -> None:
    assert pickle.loads(pickle.dumps(whole_batch)) is whole_batch
