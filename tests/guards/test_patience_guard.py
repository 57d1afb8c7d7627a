"""What patience means is told in one line, and what is counted ahead is what happens in real trainings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, GradientAccumulationScheduler
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from torch.utils.data import DataLoader, IterableDataset

import keepbest
from keepbest.guards.patience import PatienceGuard, earliest_stop, length_of, schedule_of

Make = Callable[..., Any]
Told = Callable[[], list[tuple[str, str]]]

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")

SAMPLES = 50  # 10 batches
NEVER = 10**6

EVERY: dict[str, dict[str, Any]] = {
    "after each epoch": {},
    "every 2 epochs": {"check_val_every_n_epoch": 2},
    "every 3 epochs": {"check_val_every_n_epoch": 3},
    "a half": {"val_check_interval": 0.5},
    "a third": {"val_check_interval": 0.3},
    "0.75": {"val_check_interval": 0.75},
    "a half, every 2 epochs": {"val_check_interval": 0.5, "check_val_every_n_epoch": 2},
    "4 batches": {"val_check_interval": 4},
    "4 batches, every 3 epochs": {"val_check_interval": 4, "check_val_every_n_epoch": 3},
    "4 batches across epochs": {"val_check_interval": 4, "check_val_every_n_epoch": None},
    "15 batches across epochs": {"val_check_interval": 15, "check_val_every_n_epoch": None},
}
SOME = ("after each epoch", "every 2 epochs", "a third", "a half, every 2 epochs", "15 batches across epochs")
UNTIL: dict[str, dict[str, Any]] = {
    "5 epochs": {"max_epochs": 5},
    "1 epoch": {"max_epochs": 1},
    "25 steps": {"max_steps": 25, "max_epochs": -1},
    "20 steps": {"max_steps": 20, "max_epochs": -1},
    "25 steps before 5 epochs": {"max_steps": 25, "max_epochs": 5},
    "5 epochs before 80 steps": {"max_steps": 80, "max_epochs": 5},
    "11 steps of 4 batches": {"max_steps": 11, "max_epochs": -1, "accumulate_grad_batches": 4},
    "9 steps of 3 batches": {"max_steps": 9, "max_epochs": 5, "accumulate_grad_batches": 3},
    "epochs of 7 batches": {"max_epochs": 4, "limit_train_batches": 7},
    "16 steps, epochs of 7 batches": {"max_steps": 16, "max_epochs": -1, "limit_train_batches": 0.7},
    "min_epochs above": {"max_epochs": 3, "min_epochs": 6},
}


def counting_checks(base: type[EarlyStopping]) -> type[Any]:
    class CountingChecks(base):  # type: ignore[misc, valid-type]
        checks = 0

        def _run_early_stopping_check(self, trainer: Any) -> None:
            self.checks += 1
            super()._run_early_stopping_check(trainer)

    return CountingChecks


class Ahead(Callback):
    """Counts ahead, where the guard does."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        schedule = schedule_of(trainer, trainer.early_stopping_callback)
        assert schedule is not None
        length = length_of(trainer, schedule.batches_per_epoch)
        assert length is not None
        self.checks = schedule.count(length)
        self.earliest = earliest_stop(trainer.early_stopping_callback, schedule)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """Return the level and the text of each line that the guard has said."""
    caplog.set_level(logging.DEBUG, "keepbest")
    return lambda: [
        (each.levelname, each.getMessage()) for each in caplog.records if each.name == "keepbest.guards.patience"
    ]


@pytest.mark.parametrize("until", UNTIL.values(), ids=UNTIL)
@pytest.mark.parametrize("every", EVERY.values(), ids=EVERY)
def test_the_checks_counted_ahead_are_those_that_happen(
    counting: Make, make_trainer: Make, every: dict[str, Any], until: dict[str, Any]
) -> None:
    stopping, ahead = counting_checks(EarlyStopping)("val_loss", patience=NEVER), Ahead()
    make_trainer(stopping, ahead, **every, **until).fit(counting(train=SAMPLES))
    assert stopping.checks == ahead.checks


@pytest.mark.parametrize("every", EVERY.values(), ids=EVERY)
def test_checks_on_a_training_metric_come_at_every_epochs_end(
    counting: Make, make_trainer: Make, every: dict[str, Any]
) -> None:
    stopping = counting_checks(EarlyStopping)("train_loss", patience=NEVER, check_on_train_epoch_end=True)
    ahead = Ahead()
    make_trainer(stopping, ahead, **every, max_steps=25, max_epochs=-1).fit(counting(train=SAMPLES))
    assert stopping.checks == ahead.checks == 3


PATIENCE: dict[str, tuple[type[EarlyStopping], dict[str, Any]]] = {
    "none": (EarlyStopping, {"patience": 0}),
    "1": (EarlyStopping, {"patience": 1}),
    "4": (EarlyStopping, {"patience": 4}),
    "4, keepbest's": (keepbest.EarlyStopping, {"patience": 4}),
    "1, from the third epoch on": (keepbest.EarlyStopping, {"patience": 1, "start_from_epoch": 2}),
    "1, from a late epoch on": (keepbest.EarlyStopping, {"patience": 1, "start_from_epoch": 9}),
    "1, with a baseline": (keepbest.EarlyStopping, {"patience": 1, "baseline": 0.1}),
    "4, with a baseline": (keepbest.EarlyStopping, {"patience": 4, "baseline": 0.1}),
}


@pytest.mark.parametrize("until", [UNTIL["5 epochs"], UNTIL["25 steps"]], ids=["5 epochs", "25 steps"])
@pytest.mark.parametrize("every", [EVERY[name] for name in SOME], ids=SOME)
@pytest.mark.parametrize(("kind", "settings"), PATIENCE.values(), ids=PATIENCE)
def test_the_warning_comes_exactly_where_a_metric_that_never_improves_does_not_stop_the_training(
    counting: Make, make_trainer: Make, told: Told, kind: type[EarlyStopping], settings: dict[str, Any],
    every: dict[str, Any], until: dict[str, Any],
) -> None:  # fmt: skip
    stopping, ahead = counting_checks(kind)("val_loss", **settings), Ahead()
    make_trainer(PatienceGuard(), stopping, ahead, **every, **until).fit(counting(train=SAMPLES))
    stopped = stopping.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED
    assert any(level == "WARNING" for level, _ in told()) is not stopped
    assert len(told()) <= 1
    if stopped:
        assert stopping.checks == ahead.earliest


LINES: dict[str, tuple[dict[str, Any], int, tuple[str, str] | None]] = {
    "a check is an epoch": ({"max_epochs": 20}, 5, None),
    "a check is an epoch, in its middle": ({"max_epochs": 20, "val_check_interval": 0.6}, 5, None),
    "a check is as many batches as an epoch has": (
        {"max_epochs": 20, "val_check_interval": 10, "check_val_every_n_epoch": None}, 5, None,
    ),
    "sparse": (
        {"max_epochs": 100, "check_val_every_n_epoch": 10}, 5,
        ("INFO", "patience 5 checks means 50 epochs: validation comes every 10 epochs "
                 "(trainer.check_val_every_n_epoch)."),
    ),
    "dense": (
        {"max_epochs": 100, "val_check_interval": 0.2}, 4,
        ("INFO", "patience 4 checks means 0.8 epochs: validation comes 5 times per epoch "
                 "(trainer.val_check_interval)."),
    ),
    "by batches": (
        {"max_epochs": 100, "val_check_interval": 25, "check_val_every_n_epoch": None}, 1,
        ("INFO", "patience 1 check means 2.5 epochs: validation comes every 25 batches (trainer.val_check_interval)."),
    ),
    "no patience": (
        {"max_epochs": 100, "check_val_every_n_epoch": 10}, 0,
        ("INFO", "patience 1 check means 10 epochs: validation comes every 10 epochs "
                 "(trainer.check_val_every_n_epoch)."),
    ),
    "no end": (
        {"max_epochs": -1, "check_val_every_n_epoch": 2}, 5,
        ("INFO", "patience 5 checks means 10 epochs: validation comes every 2 epochs "
                 "(trainer.check_val_every_n_epoch)."),
    ),
    "too few epochs": (
        {"max_epochs": 5}, 10,
        ("WARNING", "early stopping cannot happen by patience: patience is 10 checks, so it stops at check 11 at the "
                    "earliest, and trainer.max_epochs=5 gives 5 checks. Train longer or be less patient."),
    ),
    "one epoch too few": (
        {"max_epochs": 5}, 5,
        ("WARNING", "early stopping cannot happen by patience: patience is 5 checks, so it stops at check 6 at the "
                    "earliest, and trainer.max_epochs=5 gives 5 checks. Train longer or be less patient."),
    ),
    "just enough": ({"max_epochs": 6}, 5, None),
    "too few sparse epochs": (
        {"max_epochs": 20, "check_val_every_n_epoch": 10}, 2,
        ("WARNING", "early stopping cannot happen by patience: patience 2 checks means 20 epochs: validation comes "
                    "every 10 epochs (trainer.check_val_every_n_epoch), so it stops at check 3 at the earliest, and "
                    "trainer.max_epochs=20 gives 2 checks. Train longer or be less patient."),
    ),
    "too few steps": (
        {"max_epochs": 20, "max_steps": 15, "val_check_interval": 0.5}, 3,
        ("WARNING", "early stopping cannot happen by patience: patience 3 checks means 1.5 epochs: validation comes 2 "
                    "times per epoch (trainer.val_check_interval), so it stops at check 4 at the earliest, and "
                    "trainer.max_steps=15 gives 3 checks. Train longer or be less patient."),
    ),
}  # fmt: skip


class AtOnce(Callback):
    """Ends the training once the guard has spoken."""

    def on_train_batch_start(self, *args: Any) -> None:
        raise KeyboardInterrupt


def look(trainer: Any, *data: Any) -> None:
    with pytest.raises(SystemExit, match=r"^1$"):  # Lightning's way to end on an interrupt
        trainer.fit(*data)


@pytest.mark.parametrize(("settings", "patience", "line"), LINES.values(), ids=LINES)
def test_one_line_says_what_is_easily_missed(
    counting: Make, make_trainer: Make, told: Told, settings: dict[str, Any], patience: int,
    line: tuple[str, str] | None,
) -> None:  # fmt: skip
    trainer = make_trainer(EarlyStopping("val_loss", patience=patience), PatienceGuard(), AtOnce(), **settings)
    look(trainer, counting(train=SAMPLES))
    assert told() == ([line] if line else [])


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(torch.ones(20, 1)[:, None])


SILENT: dict[str, dict[str, Any]] = {
    "time": {"val_check_interval": timedelta(hours=1)},
    "a dry run": {"fast_dev_run": True},
    "no validation": {"limit_val_batches": 0, "check_val_every_n_epoch": 2},
    "no end": {"max_epochs": -1},
    "a length in time": {"max_epochs": None, "max_time": timedelta(hours=1)},
}


@pytest.mark.parametrize("settings", SILENT.values(), ids=SILENT)
def test_nothing_is_said_of_what_cannot_be_counted(
    counting: Make, make_trainer: Make, told: Told, settings: dict[str, Any]
) -> None:
    # without check_on_train_epoch_end Lightning's EarlyStopping fails on time-based validation
    stopping = EarlyStopping("val_loss", patience=9, check_on_train_epoch_end=False)
    look(make_trainer(stopping, PatienceGuard(), AtOnce(), **settings), counting())
    assert told() == []


@pytest.mark.parametrize(
    ("settings", "lines"), [({}, 0), ({"val_check_interval": 3}, 0), ({"limit_train_batches": 5}, 1)], ids=str
)
def test_a_stream_can_only_be_counted_where_it_is_limited(
    counting: Make, make_trainer: Make, told: Told, settings: dict[str, Any], lines: int
) -> None:
    module, trainer = counting(), make_trainer(EarlyStopping("val_loss", patience=9), PatienceGuard(), **settings)
    trainer.fit(module, DataLoader(Stream(), batch_size=None), module.val_dataloader())
    assert len(told()) == lines


def test_nothing_is_said_without_early_stopping_and_on_other_ranks(
    counting: Make, make_trainer: Make, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_trainer(PatienceGuard()).fit(counting())
    trainer = make_trainer(PatienceGuard(), EarlyStopping("val_loss", patience=9))
    monkeypatch.setattr(type(trainer.strategy), "is_global_zero", False)
    trainer.fit(counting())
    assert told() == []


def test_steps_that_cannot_be_counted_ahead_leave_the_epochs_as_the_limit(
    counting: Make, make_trainer: Make, told: Told
) -> None:
    """`accumulate_grad_batches` changes during this training."""
    changing = GradientAccumulationScheduler({0: 1, 1: 5})
    for settings in ({"max_steps": 3, "max_epochs": 4}, {"max_steps": 3, "max_epochs": -1}):
        look(make_trainer(EarlyStopping("val_loss", patience=4), PatienceGuard(), changing, AtOnce(), **settings),
             counting())  # fmt: skip
    ((level, line),) = told()
    assert (level, "trainer.max_epochs=4 gives 4 checks" in line) == ("WARNING", True)
