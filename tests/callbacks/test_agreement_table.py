"""One table for every way to train: Lightning's callback, keepbest's, the policy alone, a loop of one's own.

Values in; the epoch and the reason of the stop and the best epochs out. The epoch of a set of weights can be read from
them, so that what was restored and what lies in a checkpoint is looked at, not what says which it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as StockEarlyStopping
from lightning.pytorch.callbacks import ModelCheckpoint as StockModelCheckpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from torch.utils.data import DataLoader, TensorDataset

from keepbest import BestWeights, EarlyStopping, ModelCheckpoint, StoppingPolicy
from keepbest.stopping.reasons import StopReason

INF, NAN = math.inf, math.nan
PATIENCE, NON_FINITE = StopReason.PATIENCE_EXHAUSTED, StopReason.NON_FINITE
THRESHOLD, DIVERGED = StopReason.THRESHOLD_REACHED, StopReason.DIVERGED
# the numbers of float32 beside a half
BELOW_HALF, ABOVE_HALF = (float(torch.tensor(number)) for number in (0.4999999, 0.50000006))

OF_STOCK = {
    EarlyStoppingReason.NOT_STOPPED: None,
    EarlyStoppingReason.PATIENCE_EXHAUSTED: StopReason.PATIENCE_EXHAUSTED,
    EarlyStoppingReason.NON_FINITE_METRIC: StopReason.NON_FINITE,
    EarlyStoppingReason.STOPPING_THRESHOLD: StopReason.THRESHOLD_REACHED,
    EarlyStoppingReason.DIVERGENCE_THRESHOLD: StopReason.DIVERGED,
}
NOT_IN_STOCK = {"baseline", "start_from_epoch"}

# Why stock Lightning gives another result, on purpose.
LATCHED = "a reason to stop before min_epochs is remembered, whatever comes after it"
KEEPS_A_NAN = "the checkpoint of an epoch without a number is kept as the best, with an infinite score"
REASONS = {LATCHED, KEEPS_A_NAN}

SAME = -1  # an epoch that is the one of the policy's best


@dataclass(frozen=True)
class Row:
    """What a training with these values must do.

    Attributes:
        settings: the stopping policy's.
        values: the metric, epoch by epoch; lower is better.
        stop: the epoch after which it stops, None for no early stop.
        reason: why.
        best: the epoch of the last improvement by `min_delta`.
        strict: the epoch of the best value; the same, if not given.
        kept: the epoch that a checkpoint callback with the policy's `min_delta` keeps. It hears of no warm-up and of
            no threshold; the same as `best`, if not given.
        stock: what differs in stock Lightning, and `why`.
    """

    settings: dict[str, Any]
    values: list[float]
    stop: int | None
    reason: StopReason | None
    best: int | None
    strict: int | None = SAME
    kept: int | None = SAME
    stock: dict[str, Any] = field(default_factory=dict)

    def expected(self) -> dict[str, Any]:
        return {
            "stop": self.stop,
            "reason": self.reason,
            "best": self.best,
            "strict": self.best if self.strict == SAME else self.strict,
            "kept": self.best if self.kept == SAME else self.kept,
        }

    def expected_of_stock(self) -> dict[str, Any]:
        differing = {name: value for name, value in self.stock.items() if name != "why"}
        return {name: value for name, value in {**self.expected(), **differing}.items() if name != "kept"}


# fmt: off
TABLE = {
    # patience
    "improves to the end": Row({"patience": 1}, [3, 2, 1], None, None, 2),
    "a single value": Row({"patience": 1}, [5], None, None, 0),
    "patience 1": Row({"patience": 1}, [2, 3, 1], 1, PATIENCE, 0),
    "patience 0 is 1": Row({"patience": 0}, [2, 3, 1], 1, PATIENCE, 0),
    "patience 0 lets improvements pass": Row({"patience": 0}, [3, 2, 1, 1], 3, PATIENCE, 2),
    "patience 3": Row({"patience": 3}, [1, 2, 2, 2, 0], 3, PATIENCE, 0),
    "one check short of patience": Row({"patience": 3}, [1, 2, 2], None, None, 0),
    "an improvement starts the count anew": Row({"patience": 2}, [3, 4, 2, 3, 3], 4, PATIENCE, 2),
    "better than the last, not than the best": Row({"patience": 2}, [1, 3, 2], 2, PATIENCE, 0),
    # ties
    "ties": Row({"patience": 2}, [1, 1, 1], 2, PATIENCE, 0),
    "the best again": Row({"patience": 3}, [2, 1, 2, 1, 2], 4, PATIENCE, 1),
    "two zeros": Row({"patience": 1}, [0.0, -0.0], 1, PATIENCE, 0),
    # no numbers
    "NaN first": Row({}, [NAN, 1], 0, NON_FINITE, None, stock={"strict": 0, "why": KEEPS_A_NAN}),
    "NaN in the middle": Row({}, [2, 1, NAN, 0], 2, NON_FINITE, 1),
    "NaN where patience ends": Row({"patience": 1}, [1, NAN, 0], 1, NON_FINITE, 0),
    "inf": Row({}, [2, INF, 1], 1, NON_FINITE, 0),
    "inf first": Row({}, [INF, 1], 0, NON_FINITE, None, stock={"strict": 0, "why": KEEPS_A_NAN}),
    "the good infinity stops, and is the best": Row({}, [2, -INF, 1], 1, NON_FINITE, 0, strict=1, kept=1),
    "unchecked, NaN first": Row({"check_finite": False, "patience": 2}, [NAN, 1, 2, 2], 3, PATIENCE, 1),
    "unchecked, NaN in the middle": Row(
        {"check_finite": False, "patience": 2}, [2, NAN, 1, NAN, NAN], 4, PATIENCE, 2),
    "unchecked, all NaN": Row(
        {"check_finite": False, "patience": 3}, [NAN] * 4, 2, PATIENCE, None,
        stock={"strict": 0, "why": KEEPS_A_NAN}),
    "unchecked, NaN first, no patience": Row(
        {"check_finite": False, "patience": 0}, [NAN, 1], 0, PATIENCE, None,
        stock={"strict": 0, "why": KEEPS_A_NAN}),
    "unchecked, inf first": Row({"check_finite": False, "patience": 2}, [INF, 1, 2], None, None, 1),
    "unchecked, all inf": Row(
        {"check_finite": False, "patience": 2}, [INF, INF], 1, PATIENCE, None,
        stock={"strict": 0, "why": KEEPS_A_NAN}),
    "unchecked, the good infinity": Row({"check_finite": False, "patience": 1}, [1, -INF, -INF], 2, PATIENCE, 1),
    # min_delta
    "better by exactly min_delta": Row({"min_delta": 0.5, "patience": 1}, [1, 0.5], 1, PATIENCE, 0, strict=1),
    "by min_delta and a step of float32": Row({"min_delta": 0.5, "patience": 1}, [1, BELOW_HALF], None, None, 1),
    "by min_delta but a step of float32": Row(
        {"min_delta": 0.5, "patience": 1}, [1, ABOVE_HALF], 1, PATIENCE, 0, strict=1),
    "by min_delta, but not in float32": Row(
        {"min_delta": 0.0999999999, "patience": 1}, [1, 0.9], 1, PATIENCE, 0, strict=1),
    "the first value needs no min_delta": Row({"min_delta": 100, "patience": 1}, [1, 0.5], 1, PATIENCE, 0, strict=1),
    "slow drift adds up": Row({"min_delta": 0.1, "patience": 3}, [1, 0.96, 0.92, 0.88], None, None, 3),
    "too slow a drift": Row({"min_delta": 0.1, "patience": 2}, [1, 0.96, 0.92, 0.88], 2, PATIENCE, 0, strict=2),
    "the best lies in the patience": Row(
        {"min_delta": 0.5, "patience": 3}, [2, 1, 0.8, 0.7, 0.9], 4, PATIENCE, 1, strict=3),
    # baseline
    "short of the baseline": Row({"baseline": 0.5, "patience": 3}, [1, 0.9, 0.8, 0.8], 3, PATIENCE, 2),
    "short of the baseline, but improving": Row({"baseline": 0.5, "patience": 1}, [1, 0.9, 0.8], None, None, 2),
    "beyond the baseline": Row({"baseline": 0.5, "patience": 2}, [1, 0.4, 0.4, 0.4], 3, PATIENCE, 1),
    "at the baseline": Row({"baseline": 0.5, "patience": 2}, [1, 0.5, 0.5], 2, PATIENCE, 1),
    "beyond the baseline, not by min_delta": Row(
        {"baseline": 0.5, "min_delta": 0.25, "patience": 2}, [1, 0.25, 0.25], 2, PATIENCE, 1),
    # start_from_epoch
    "the best lies in the warm-up": Row(
        {"start_from_epoch": 2, "patience": 2}, [0, 0, 3, 4, 4], 4, PATIENCE, 2, strict=0, kept=0),
    "NaN in the warm-up": Row({"start_from_epoch": 1, "patience": 1}, [NAN, 2, 1], None, None, 2),
    "threshold in the warm-up": Row(
        {"start_from_epoch": 1, "stopping_threshold": 1}, [0, 2, 1.5], None, None, 2, strict=0, kept=0),
    "nothing but warm-up": Row(
        {"start_from_epoch": 9, "patience": 1}, [1, 2, 3], None, None, None, strict=0, kept=0),
    # thresholds
    "beyond the stopping threshold": Row({"stopping_threshold": 0.5}, [1, 0.4, 0.3], 1, THRESHOLD, 0, 1, 1),
    "at the stopping threshold": Row({"stopping_threshold": 0.5}, [1, 0.5], None, None, 1),
    "stopping threshold at once": Row({"stopping_threshold": 0.5}, [0.4, 0.3], 0, THRESHOLD, None, 0, 0),
    "beyond the divergence threshold": Row({"divergence_threshold": 2}, [1, 3, 0], 1, DIVERGED, 0),
    "at the divergence threshold": Row({"divergence_threshold": 2}, [1, 2, 2], None, None, 0),
    "divergence at once": Row({"divergence_threshold": 2}, [3, 1], 0, DIVERGED, None, 0, 0),
    "divergence goes before patience": Row({"divergence_threshold": 2, "patience": 1}, [1, 3], 1, DIVERGED, 0),
    "between both thresholds": Row(
        {"stopping_threshold": 0, "divergence_threshold": 2, "patience": 2}, [1, 2, 0], None, None, 2),
    # min_epochs
    "in the epoch that completes min_epochs": Row({"min_epochs": 2, "patience": 1}, [1, 2, 0], 1, PATIENCE, 0),
    "patience over too early, and at the end": Row({"min_epochs": 4, "patience": 1}, [1, 2, 2, 2, 0], 3, PATIENCE, 0),
    "patience over too early, better since": Row(
        {"min_epochs": 4, "patience": 1}, [3, 4, 2, 1, 0.5], None, None, 4,
        stock={"stop": 3, "reason": PATIENCE, "best": 3, "strict": 3, "why": LATCHED}),
    "NaN too early": Row(
        {"min_epochs": 3, "patience": 1}, [1, NAN, 0.5, 0.6], 3, PATIENCE, 2,
        stock={"stop": 2, "reason": NON_FINITE, "why": LATCHED}),
    "threshold too early": Row(
        {"min_epochs": 3, "stopping_threshold": 0.5}, [1, 0.4, 0.7, 0.6], None, None, 3, 1, 1,
        stock={"stop": 2, "reason": THRESHOLD, "best": 2, "why": LATCHED}),
    "threshold too early, and still": Row(
        {"min_epochs": 3, "stopping_threshold": 0.5}, [1, 0.4, 0.3, 0.2], 2, THRESHOLD, 0, 2, 2),
    "divergence too early": Row(
        {"min_epochs": 3, "divergence_threshold": 2}, [1, 3, 1, 3, 0], 3, DIVERGED, 0,
        stock={"stop": 2, "why": LATCHED}),
}
# fmt: on

SIGNED = ("baseline", "stopping_threshold", "divergence_threshold")


def upside_down(row: Row) -> Row:
    settings = {name: -value if name in SIGNED else value for name, value in row.settings.items()}
    return Row(
        settings, [-value for value in row.values], row.stop, row.reason, row.best, row.strict, row.kept, row.stock
    )


in_both_modes = pytest.mark.parametrize(
    ("mode", "row"),
    [
        pytest.param(mode, row if mode == "min" else upside_down(row), id=f"{mode}: {name}")
        for name, row in TABLE.items()
        for mode in ("min", "max")
    ],
)
stock_in_both_modes = pytest.mark.parametrize(
    ("mode", "row"),
    [
        pytest.param(mode, row if mode == "min" else upside_down(row), id=f"{mode}: {name}")
        for name, row in TABLE.items()
        for mode in ("min", "max")
        if not NOT_IN_STOCK & row.settings.keys()
    ],
)


class Counting(LightningModule):
    """A weight that is 1 after the first epoch, 2 after the second; its validations log a list of values."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def data(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.zeros(1, 1)))

    train_dataloader = val_dataloader = data

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return -self.weight.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("score", self.values[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1)


def epoch_of(weights: Mapping[str, torch.Tensor]) -> int:
    """Return the epoch (counted from 0) at whose end the weights were these."""
    return int(weights["weight"]) - 1


def epoch_in(checkpoint: str) -> int | None:
    """Return the epoch of the weights in a file; None without one."""
    return epoch_of(torch.load(checkpoint, weights_only=True)["state_dict"]) if checkpoint else None


MakeTrainer = Callable[..., Trainer]


def fit(make_trainer: MakeTrainer, row: Row, *callbacks: Any) -> tuple[Counting, int]:
    """Train as many epochs as there are values, at the most; give the module and the last epoch."""
    model = Counting(row.values)
    epochs = {"max_epochs": len(row.values), "min_epochs": row.settings.get("min_epochs")}
    trainer = make_trainer(*callbacks, enable_checkpointing=True, num_sanity_val_steps=0, **epochs)
    trainer.fit(model)
    return model, trainer.current_epoch - 1


def of_callback(row: Row) -> dict[str, Any]:
    """Return the settings that belong to the callback; the trainer has the others."""
    return {name: value for name, value in row.settings.items() if name != "min_epochs"}


def last_epoch(row: Row) -> int:
    return len(row.values) - 1 if row.stop is None else row.stop


def test_the_table_is_large_and_each_difference_has_one_of_the_intended_reasons() -> None:
    assert len(TABLE) >= 25
    for name, row in TABLE.items():
        assert {row.stock["why"]} <= REASONS if row.stock else True, name
        assert not row.stock or row.expected_of_stock().items() - row.expected().items(), name
        assert not (row.stock and NOT_IN_STOCK & row.settings.keys()), name


@stock_in_both_modes
def test_stock_lightning_gives_the_row_but_for_the_listed_differences(
    mode: str, row: Row, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    stopping = StockEarlyStopping("score", mode=mode, **of_callback(row))
    checkpoint = StockModelCheckpoint(tmp_path, monitor="score", mode=mode)
    model, last = fit(make_trainer, row, stopping, checkpoint)
    reason = OF_STOCK[stopping.stopping_reason]
    score = float(stopping.best_score)
    found = {
        "stop": None if reason is None else last,
        "reason": reason,
        "best": None if score == (INF if mode == "min" else -INF) else first_epoch_of(score, row.values),
        "strict": epoch_in(checkpoint.best_model_path),
    }
    assert found == row.expected_of_stock()
    assert epoch_of(model.state_dict()) == last, "stock Lightning leaves the weights of the last epoch"


def first_epoch_of(score: float, values: list[float]) -> int:
    """Return the epoch that a best score comes from: a tie never becomes the best."""
    return [float(torch.tensor(value)) for value in values].index(score)


@in_both_modes
@pytest.mark.parametrize("restore", [True, "policy_best"])
def test_keepbests_callbacks_give_the_row_and_restore_its_weights(
    mode: Any, row: Row, restore: Literal[True, "policy_best"], make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    expected = row.expected()
    stopping = EarlyStopping("score", mode=mode, restore_best_weights=restore, **of_callback(row))
    by_policy = restore == "policy_best"
    min_delta = row.settings.get("min_delta", 0) if by_policy else 0
    checkpoint = ModelCheckpoint(tmp_path, monitor="score", mode=mode, min_delta=min_delta)
    restored = expected["best" if by_policy else "strict"]
    if restored is None:
        with pytest.warns(UserWarning, match="No best weights were restored"):
            model, last = fit(make_trainer, row, stopping, checkpoint)
    else:
        model, last = fit(make_trainer, row, stopping, checkpoint)

    assert stopping.policy == StoppingPolicy(mode, **row.settings), "the trainer's min_epochs are part of it"
    state = stopping.policy_state
    assert (state.stopped_epoch, state.reason, state.best_epoch) == (row.stop, row.reason, row.best)
    assert OF_STOCK[stopping.stopping_reason] is row.reason, "what Lightning's users read says the same"
    assert last == last_epoch(row)
    assert stopping.best_epoch == restored
    assert epoch_of(model.state_dict()) == (last if restored is None else restored)
    assert epoch_in(checkpoint.best_model_path) == expected["kept" if by_policy else "strict"]


@in_both_modes
def test_the_policy_alone_gives_the_row(mode: Any, row: Row) -> None:
    state = StoppingPolicy(mode, **row.settings).start()
    for epoch, value in enumerate(row.values):
        if state.update(value, epoch).stop:
            break
    assert (state.stopped_epoch, state.reason, state.best_epoch) == (row.stop, row.reason, row.best)
    assert state.checks == last_epoch(row) + 1


@in_both_modes
def test_a_loop_of_ones_own_gives_the_row_and_restores_its_weights(mode: Any, row: Row) -> None:
    expected = row.expected()
    model = Counting(row.values)
    policy = StoppingPolicy(mode, **row.settings)
    stopping, by_policy = policy.start(), BestWeights(model, mode=mode)
    strict, kept = BestWeights(model, mode=mode), BestWeights(model, mode=mode, min_delta=policy.min_delta)
    for epoch, value in enumerate(row.values):
        with torch.no_grad():
            model.weight += 1
        decision = stopping.update(value, epoch)
        strict.offer(value, epoch)
        kept.offer(value, epoch)
        if decision.improved:
            by_policy.keep(value, epoch)
        if decision.stop:
            break
    assert (stopping.stopped_epoch, stopping.reason, stopping.best_epoch) == (row.stop, row.reason, row.best)
    last = epoch_of(model.state_dict())
    assert last == last_epoch(row)
    for best, epoch in ((strict, expected["strict"]), (kept, expected["kept"]), (by_policy, row.best)):
        with torch.no_grad():
            model.weight.fill_(last + 1)
        assert best.restore() is (epoch is not None)
        assert best.epoch == epoch
        assert epoch_of(model.state_dict()) == (last if epoch is None else epoch)
