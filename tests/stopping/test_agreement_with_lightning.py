"""Settings that Lightning's EarlyStopping has too mean the same: check for check, for any series of values."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.trainer.states import TrainerFn

from keepbest.stopping.policy import StoppingPolicy
from keepbest.stopping.reasons import StopReason

REASONS = {
    "PATIENCE_EXHAUSTED": StopReason.PATIENCE_EXHAUSTED,
    "NON_FINITE_METRIC": StopReason.NON_FINITE,
    "STOPPING_THRESHOLD": StopReason.THRESHOLD_REACHED,
    "DIVERGENCE_THRESHOLD": StopReason.DIVERGED,
}


class FakeTrainer(SimpleNamespace):
    """The few attributes that EarlyStopping reads at the end of a validation; trains nothing."""

    def __init__(self) -> None:
        super().__init__(
            state=SimpleNamespace(fn=TrainerFn.FITTING),
            sanity_checking=False,
            fast_dev_run=False,
            callback_metrics={},
            current_epoch=0,
            should_stop=False,
            strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
        )


def assert_agreement(shared: dict[str, Any], values: list[float], dtype: torch.dtype = torch.float32) -> None:
    """Hand the values to both until the first stop, and compare all that both know after each."""
    stock = EarlyStopping("val", check_on_train_epoch_end=False, **shared)
    state, trainer = StoppingPolicy(**shared).start(), FakeTrainer()
    for epoch, value in enumerate(values):
        trainer.current_epoch, trainer.callback_metrics = epoch, {"val": torch.tensor(value, dtype=dtype)}
        stock.on_validation_end(trainer, None)
        decision = state.update(value if dtype is torch.float32 else trainer.callback_metrics["val"], epoch)
        assert decision.stop == trainer.should_stop
        assert state.wait == stock.wait_count
        worst = math.inf if shared.get("mode", "min") == "min" else -math.inf
        assert (worst if state.best is None else state.best) == stock.best_score.item()
        if decision.stop:
            assert state.stopped_epoch == stock.stopped_epoch
            assert state.reason is REASONS[stock.stopping_reason.name]
            return


FINITE = st.one_of(st.floats(-4, 4, width=32), st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 1.0]).map(
    lambda value: torch.tensor(value).item()
))  # fmt: skip
DTYPES = [torch.float64, torch.float16, torch.bfloat16]
ANY = st.one_of(FINITE, st.sampled_from([math.nan, math.inf, -math.inf]))


@st.composite
def shared_settings(draw: st.DrawFn) -> dict[str, Any]:
    mode = draw(st.sampled_from(["min", "max"]))
    low, high = sorted(draw(st.lists(st.floats(-3, 3), min_size=2, max_size=2)))
    apart = torch.tensor(low) < torch.tensor(high)
    good, bad = (low, high) if mode == "min" else (high, low)
    return {
        "mode": mode,
        "patience": draw(st.integers(0, 5)),
        "min_delta": draw(st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1e-4]), st.floats(0, 2))),
        "stopping_threshold": draw(st.sampled_from([None, good])),
        "divergence_threshold": draw(st.sampled_from([None, bad])) if apart else None,
    }


@settings(max_examples=150, deadline=None)
@given(shared_settings(), st.lists(FINITE, max_size=15))
@example({"mode": "min", "patience": 1, "min_delta": 0.1}, [torch.tensor(0.3).item(), torch.tensor(0.2).item()])
def test_any_finite_series_stops_at_the_same_check_for_the_same_reason(
    shared: dict[str, Any], values: list[float]
) -> None:
    assert_agreement(shared, values)


@settings(max_examples=100, deadline=None)
@given(shared_settings(), st.booleans(), st.lists(ANY, max_size=15))
def test_so_does_a_series_with_non_finite_values(
    shared: dict[str, Any], check_finite: bool, values: list[float]
) -> None:
    assert_agreement({**shared, "check_finite": check_finite}, values)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_so_does_a_series_in_double_precision(mode: str) -> None:
    """With `precision=64-true` Lightning compares in float64, where a billionth is an improvement."""
    sign = 1 if mode == "min" else -1
    assert_agreement({"mode": mode, "patience": 1}, [sign * 1.0, sign * (1.0 - 1e-9)], torch.float64)


@settings(max_examples=50, deadline=None)
@given(shared_settings(), st.lists(FINITE, max_size=15), st.sampled_from(DTYPES))
def test_so_does_a_series_of_any_precision(shared: dict[str, Any], values: list[float], dtype: torch.dtype) -> None:
    assert_agreement(shared, values, dtype)
