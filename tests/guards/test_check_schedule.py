"""Checks are counted ahead, and told in epochs."""

from __future__ import annotations

import pytest

from keepbest.guards.check_schedule import CheckSchedule, TrainingLength, counted

# batches per epoch, batches between checks, epochs between checks; epochs and batches trained; checks
COUNTS: list[tuple[tuple[int, int, int | None], tuple[int, int], int]] = [
    ((10, 10, 1), (5, 0), 5),
    ((10, 10, 1), (5, 9), 5),
    ((10, 3, 1), (2, 0), 6),
    ((10, 3, 1), (2, 5), 7),
    ((10, 10, 2), (5, 0), 2),
    ((10, 5, 2), (5, 5), 5),
    ((10, 5, 2), (4, 5), 4),
    ((10, 3, None), (2, 0), 6),
    ((10, 3, None), (2, 1), 7),
    ((10, 25, None), (5, 0), 2),
    ((10, 25, 1), (5, 0), 0),
]


@pytest.mark.parametrize(("schedule", "length", "checks"), COUNTS)
def test_checks_are_counted(schedule: tuple[int, int, int | None], length: tuple[int, int], checks: int) -> None:
    assert CheckSchedule(*schedule).count(TrainingLength(*length)) == checks


@pytest.mark.parametrize(("length", "checks"), [((5, 0), 5), ((5, 1), 6)])
def test_an_epoch_cut_short_has_an_end_too(length: tuple[int, int], checks: int) -> None:
    assert CheckSchedule(10, 10, 1, at_epoch_end=True).count(TrainingLength(*length)) == checks


# the schedule, the epochs that three checks span, how often validation comes
TOLD: list[tuple[CheckSchedule, float | None, str]] = [
    (CheckSchedule(10, 10, 10), 30, "every 10 epochs (trainer.check_val_every_n_epoch)"),
    (CheckSchedule(10, 2, 1), 0.6, "5 times per epoch (trainer.val_check_interval)"),
    (
        CheckSchedule(10, 2, 4),
        2.4,
        "5 times every 4 epochs (trainer.val_check_interval, trainer.check_val_every_n_epoch)",
    ),
    (CheckSchedule(10, 25, None), 7.5, "every 25 batches (trainer.val_check_interval)"),
    (CheckSchedule(10, 1, None), 0.3, "every batch (trainer.val_check_interval)"),
]


@pytest.mark.parametrize(("schedule", "epochs", "text"), TOLD)
def test_checks_are_told_in_epochs(schedule: CheckSchedule, epochs: float, text: str) -> None:
    assert schedule.epochs(3) == pytest.approx(epochs)
    assert str(schedule) == text


def test_checks_at_every_epochs_end_are_epochs() -> None:
    assert CheckSchedule(10, 2, 1, at_epoch_end=True).epochs(3) == 3


def test_checks_that_never_come_span_nothing() -> None:
    assert CheckSchedule(10, 25, 1).epochs(3) is None


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 epochs"), (1, "1 epoch"), (0.75, "0.75 epochs"), (4 / 3, "1.33 epochs"), (1_234_567.0, "1234567 epochs")],
)
def test_a_number_stands_with_its_noun(count: float, text: str) -> None:
    assert counted(count, "epoch", "epochs") == text
