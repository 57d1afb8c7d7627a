"""The best weights are those measured at the best score, whatever the module becomes afterwards."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from keepbest.checkpoints.best_weights import BestWeights
from keepbest.errors import ConfigError

Same = Callable[[Any, Any], bool]
NAN = math.nan


class Counting(nn.Module):
    """A module with extra state: a mutable list, which it goes on changing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.seen = [0, torch.zeros(1)]

    def get_extra_state(self) -> list[Any]:
        return self.seen

    def set_extra_state(self, state: list[Any]) -> None:
        self.seen = state

    def see(self) -> None:
        self.seen[0] += 1
        self.seen[1] += 1


def set_to(module: nn.Module, value: float) -> None:
    """Give every parameter one value, so that weights tell the epoch they are from."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)


def offer_all(best: BestWeights, scores: list[float]) -> None:
    """Offer one score per epoch, measured with weights that are the epoch's number."""
    for epoch, score in enumerate(scores):
        set_to(best.module, epoch)
        best.offer(score, epoch)


TABLE = [
    ("min", 0.0, [3.0, 1.0, 2.0], 1),
    ("max", 0.0, [3.0, 4.0, 2.0], 1),
    ("min", 0.0, [1.0, 1.0, 1.0], 0),
    ("max", 0.0, [1.0, 1.0], 0),
    ("min", 0.5, [2.0, 1.6, 1.4, 1.0], 2),
    ("max", 0.5, [1.0, 1.4, 1.6, 2.0], 2),
    ("min", 0.0, [NAN, 2.0, NAN, 3.0], 1),
    ("max", 0.0, [NAN, 2.0, NAN, 1.0], 1),
    ("min", 0.0, [math.inf, 5.0], 1),
    ("min", 0.0, [2.0, -math.inf, 1.0], 1),
    ("max", 0.0, [-math.inf, -5.0], 1),
    ("min", 0.0, [0.0], 0),
]


@pytest.mark.parametrize(("mode", "min_delta", "scores", "expected"), TABLE)
def test_the_weights_of_the_best_epoch_come_back(
    mode: Any, min_delta: float, scores: list[float], expected: int
) -> None:
    module = nn.Linear(2, 1)
    best = BestWeights(module, mode=mode, min_delta=min_delta)
    offer_all(best, scores)
    assert (best.epoch, best.score) == (expected, scores[expected])
    set_to(module, -1)
    assert best.restore()
    assert module.weight.tolist() == [[expected, expected]]
    assert module.bias.item() == expected


@settings(deadline=None, database=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(width=32) | st.just(NAN)), st.sampled_from(["min", "max"]))
def test_what_is_kept_is_the_first_strict_optimum(scores: list[float], mode: Any) -> None:
    worst = math.inf if mode == "min" else -math.inf
    finite = [score for score in scores if not math.isnan(score) and score != worst]
    best = BestWeights(nn.Linear(1, 1), mode=mode)
    offer_all(best, scores)
    optimum = (min if mode == "min" else max)(finite, default=None)
    assert best.score == optimum
    assert best.epoch == (None if optimum is None else scores.index(optimum))


def test_offer_says_whether_the_weights_were_kept() -> None:
    best = BestWeights(nn.Linear(1, 1))
    assert [best.offer(score, epoch) for epoch, score in enumerate([2.0, NAN, 3.0, 1.0])] == [True, False, False, True]


def test_a_tensor_is_a_score() -> None:
    best = BestWeights(nn.Linear(1, 1), mode="max")
    assert best.offer(torch.tensor(0.5), 3)
    assert (best.score, type(best.score), best.epoch) == (0.5, float, 3)


@pytest.mark.parametrize("scores", [[], [NAN, NAN], [math.inf]], ids=str)
def test_without_a_best_nothing_is_restored(scores: list[float], same: Same) -> None:
    module = nn.Linear(2, 1)
    best = BestWeights(module)
    offer_all(best, scores)
    set_to(module, 7)
    assert not best.restore()
    assert (best.score, best.epoch) == (None, None)
    assert module.weight.tolist() == [[7, 7]]


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mode must be 'min' or 'max', got 'auto'\."):
        BestWeights(nn.Linear(1, 1), mode="auto")  # type: ignore[arg-type]


def test_the_memory_of_the_copy_is_reused() -> None:
    best = BestWeights(nn.Linear(100, 10))
    best.offer(2.0, 0)
    before = {name: tensor.data_ptr() for name, tensor in best.state_dict()["weights"].items()}
    set_to(best.module, 5)
    best.offer(1.0, 1)
    weights = best.state_dict()["weights"]
    assert {name: tensor.data_ptr() for name, tensor in weights.items()} == before
    assert (weights["weight"] == 5).all()


def test_the_copy_shares_no_memory_with_the_module() -> None:
    module = nn.Linear(2, 1)
    best = BestWeights(module)
    best.offer(1.0, 0)
    best.restore()
    own = {tensor.data_ptr() for tensor in module.state_dict().values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in best.state_dict()["weights"].values())


def test_running_statistics_belong_to_the_weights(same: Same) -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    best = BestWeights(module)
    module(torch.randn(8, 2))
    best.offer(1.0, 0)
    kept = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module(torch.randn(8, 2) + 5)
    assert not torch.equal(module[1].running_mean, kept["1.running_mean"]), "the statistics have moved on"
    best.restore()
    assert same(dict(module.state_dict()), kept)
    assert module[1].num_batches_tracked == 1


def test_extra_state_is_kept_however_the_module_changes_it() -> None:
    module = Counting()
    best = BestWeights(module)
    module.see()
    best.offer(1.0, 0)
    for _ in range(2):  # and a second time: what was handed out is changed, too
        module.see()
        best.restore()
        assert module.seen == [1, torch.ones(1)]


def test_the_versions_of_the_modules_formats_are_kept() -> None:
    """A module that changed its format looks at the version, and takes weights without one for the oldest."""

    class Versioned(nn.Linear):
        _version = 7

        def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *more: Any) -> None:
            self.loaded = local_metadata.get("version")
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *more)

    module = Versioned(1, 1)
    best = BestWeights(module)
    best.offer(1.0, 0)
    again = BestWeights(module)
    again.load_state_dict(through_a_file(best.state_dict()))
    for keeper in (best, again):
        module.loaded = None
        keeper.restore()
        assert module.loaded == 7


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """Save and load safely."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def test_the_state_survives_a_safe_file(same: Same) -> None:
    best = BestWeights(nn.Linear(2, 1), mode="max")
    offer_all(best, [0.5, 0.75, 0.625])
    state = through_a_file(best.state_dict())
    other = BestWeights(nn.Linear(2, 1), mode="max")
    other.load_state_dict(state)
    assert same(other.state_dict(), best.state_dict())
    assert not other.offer(0.7, 5)
    assert other.restore()
    assert other.module.weight.tolist() == [[1, 1]]


def test_a_state_without_a_best_round_trips_too() -> None:
    best = BestWeights(nn.Linear(1, 1))
    best.offer(1.0, 0)
    best.load_state_dict(BestWeights(nn.Linear(1, 1)).state_dict())
    assert (best.score, best.epoch, best.restore()) == (None, None, False)


def test_a_loaded_state_may_be_changed_afterwards() -> None:
    best = BestWeights(nn.Linear(2, 1))
    offer_all(best, [1.0])
    state = best.state_dict()
    other = BestWeights(nn.Linear(2, 1))
    other.load_state_dict(state)
    state["weights"]["weight"].fill_(9)
    other.restore()
    assert other.module.weight.tolist() == [[0, 0]]


@pytest.mark.parametrize("changed", [nn.Parameter(torch.full((1, 3), 4.0)), nn.Parameter(torch.ones(1, 2).double())])
def test_a_parameter_that_changed_shape_or_type_is_kept_anew(changed: nn.Parameter) -> None:
    module = nn.Linear(2, 1)
    best = BestWeights(module)
    best.offer(2.0, 0)
    module.weight = changed
    best.offer(1.0, 1)
    expected = changed.tolist()
    with torch.no_grad():
        module.weight.zero_()
    best.restore()
    assert module.weight.tolist() == expected
    assert best.state_dict()["weights"]["weight"].dtype == changed.dtype


def test_weights_of_another_shape_are_not_forced_into_the_module() -> None:
    module = nn.Linear(2, 1)
    best = BestWeights(module)
    best.offer(1.0, 0)
    module.weight = nn.Parameter(torch.ones(1, 3))
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        best.restore()


def test_a_layer_that_is_gone_is_forgotten_with_the_next_best() -> None:
    module = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    best = BestWeights(module)
    best.offer(2.0, 0)
    del module[1]
    best.offer(1.0, 1)
    assert best.restore()
    assert list(best.state_dict()["weights"]) == ["0.weight", "0.bias"]


def test_shared_weights_stay_shared() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].weight = module[0].weight
    best = BestWeights(module)
    offer_all(best, [1.0, 2.0])
    best.restore()
    assert module[1].weight is module[0].weight
    assert module[0].weight.tolist() == [[0, 0], [0, 0]]


def test_validating_in_inference_mode_is_no_trap() -> None:
    """A tensor made in that mode cannot be written to outside of it."""
    best = BestWeights(nn.Linear(1, 1))
    with torch.inference_mode():
        best.offer(3.0, 0)
    set_to(best.module, 1)
    best.offer(2.0, 1)
    with torch.inference_mode():
        best.restore()
    assert best.module.weight.item() == 1
    best.module(torch.ones(1, 1)).sum().backward()


def test_neither_keeping_nor_restoring_touches_gradients() -> None:
    module = nn.Linear(2, 1)
    module(torch.ones(1, 2)).sum().backward()
    best = BestWeights(module)
    best.offer(1.0, 0)
    best.restore()
    assert module.weight.requires_grad
    assert module.weight.grad is not None
    assert not any(tensor.requires_grad for tensor in best.state_dict()["weights"].values())
