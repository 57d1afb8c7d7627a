"""One line for every improvement of the objective, and none for anything else."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest

from keepbest.callbacks.announcer import Announcer

Make = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")

# scores of the epochs, mode, the lines
LINES: dict[str, tuple[list[float], str, list[str]]] = {
    "two improvements": (
        [3, 3.5, 1.5, 2],
        "min",
        ["epoch   0  score 3", "epoch   2  score 1.5, better by 1.5"],
    ),
    "higher is better": (
        [0.25, 0.125, 0.75],
        "max",
        ["epoch   0  score 0.25", "epoch   2  score 0.75, better by 0.5"],
    ),
    "ties": ([2, 2, 2], "min", ["epoch   0  score 2"]),
    "NaN": ([math.nan, 2, math.nan], "min", ["epoch   1  score 2"]),
    "never finite": ([math.nan, math.inf], "min", []),
    "six digits": ([0.123456789], "min", ["epoch   0  score 0.123457"]),
}


@pytest.mark.parametrize(("scores", "mode", "lines"), LINES.values(), ids=LINES)
def test_a_line_for_each_improvement(
    scripted: Make,
    make_trainer: Make,
    make_history: Make,
    caplog: pytest.LogCaptureFixture,
    scores: list[float],
    mode: str,
    lines: list[str],
) -> None:
    history = make_history(mode=mode)
    with caplog.at_level(logging.INFO, logger="keepbest"):
        make_trainer(history, Announcer(history), max_epochs=len(scores)).fit(scripted(scores))
    assert [record.getMessage() for record in caplog.records if record.name.startswith("keepbest")] == lines


def test_validations_after_the_training_are_not_announced(
    scripted: Make, make_trainer: Make, make_history: Make, caplog: pytest.LogCaptureFixture
) -> None:
    history = make_history()
    trainer, module = make_trainer(history, Announcer(history), max_epochs=2), scripted([2, 3, 1])
    with caplog.at_level(logging.INFO, logger="keepbest"):
        trainer.fit(module)
        trainer.validate(module, verbose=False)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("keepbest")] == [
        "epoch   0  score 2"
    ]


def test_epochs_with_two_validations_announce_both(
    scripted: Make, make_trainer: Make, make_history: Make, caplog: pytest.LogCaptureFixture
) -> None:
    history = make_history()
    trainer = make_trainer(history, Announcer(history), max_epochs=1, val_check_interval=0.5)
    with caplog.at_level(logging.INFO, logger="keepbest"):
        trainer.fit(scripted([2, 1]))
    assert [record.getMessage() for record in caplog.records if record.name.startswith("keepbest")] == [
        "epoch   0  score 2",
        "epoch   0  score 1, better by 1",
    ]
