"""A copy in main memory is what torch.save would have written at that moment, in memory that is used again."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from keepbest.checkpoints.host_copy import HostCopy

Same = Callable[[Any, Any], bool]


def file_of(state: Any) -> bytes:
    """What torch.save writes."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def trained(width: int = 8) -> dict[str, Any]:
    """The state of a model with tied weights and its optimizer, after a step."""
    model = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.Linear(width, width))
    model[2].weight = model[0].weight
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, width)).square().mean().backward()
    optimizer.step()
    return {"epoch": 3, "state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()]}


BASE = torch.arange(12.0)
STATES = {
    "a training": trained(),
    "views of one memory": {"rows": BASE.view(3, 4)[1:], "column": BASE.view(3, 4)[:, 1], "all": BASE},
    "types": [torch.ones(3, dtype=kind) for kind in (torch.bfloat16, torch.int64, torch.bool, torch.complex64)],
    "empty and single": (torch.empty(0), torch.tensor(1.5), torch.empty(2, 0)),
    "containers": {"a": [1, (None, "x"), {"b": [True]}], 3: 2.5, "none": None, "set": {1}},
    "expanded": torch.ones(1).expand(5),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_the_copy_gives_the_same_file(state: Any) -> None:
    assert file_of(HostCopy().take(state)) == file_of(state)


RARE = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "conjugated": lambda: torch.tensor([1 + 2j]).conj(),
    "a parameter": lambda: nn.Parameter(torch.ones(2)),
}


@pytest.mark.parametrize("make", RARE.values(), ids=RARE)
def test_rare_tensors_are_copied_too(make: Callable[[], Tensor]) -> None:
    original = make()
    copied = HostCopy().take([original])[0]
    assert torch.equal(copied.to_dense(), original.to_dense())
    assert copied is not original


def test_the_copy_stays_while_the_training_goes_on(same: Same) -> None:
    def change(value: Any) -> None:
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, Tensor):
                item.data.add_(1)
            elif isinstance(item, (dict, list)):
                change(item)

    state = trained() | {"callbacks": {"keeper": {"seen": [1, 2]}}}
    copied, before = HostCopy().take(state), torch.load(io.BytesIO(file_of(state)))
    change(state)
    state["callbacks"]["keeper"]["seen"].append(3)
    state["state_dict"]["more"] = 1
    assert same(dict(copied), before)


def places_of(copy: HostCopy) -> set[int]:
    return {place.data_ptr() for place in copy._memory}


def test_the_memory_is_used_again() -> None:
    copy = HostCopy()
    copy.take(trained())
    first = places_of(copy)
    for _ in range(2):
        copy.take(trained())
        assert places_of(copy) == first


def test_weights_alone_and_whole_checkpoints_take_turns_in_one_memory() -> None:
    copy, whole = HostCopy(), trained()
    copy.take(whole)
    first = places_of(copy)
    for state in ({"state_dict": whole["state_dict"]}, whole):
        copy.take(state)
        assert places_of(copy) == first


def test_memory_that_does_not_fit_is_given_back() -> None:
    copy = HostCopy()
    for width in (8, 16, 8):
        copy.take(trained(width))
        assert sum(place.nbytes() for place in copy._memory) == size_of(trained(width))
    copy.release()
    assert not copy._memory


def size_of(state: Any) -> int:
    fresh = HostCopy()
    fresh.take(state)
    return sum(place.nbytes() for place in fresh._memory)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_lies_on_a_device_is_copied_to_main_memory() -> None:
    weight = torch.arange(6.0, device="cuda").view(2, 3)
    copied = HostCopy().take({"weight": weight, "row": weight[1]})
    assert copied["weight"].device.type == "cpu"
    assert torch.equal(copied["weight"], weight.cpu())
    assert copied["row"].untyped_storage().data_ptr() == copied["weight"].untyped_storage().data_ptr()
