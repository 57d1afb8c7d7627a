"""An objective that nobody logs ends the run before its first training step, with the names that are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keepbest.errors import MonitorError
from keepbest.guards.monitor import MonitorGuard

Make = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")


@pytest.mark.parametrize("monitor", ["val_loss", "val_acc"])
def test_a_metric_that_validation_logs_passes(counting: Make, make_trainer: Make, monitor: str) -> None:
    module = counting()
    make_trainer(MonitorGuard(monitor)).fit(module)
    assert module.steps == 8


@pytest.mark.parametrize(
    ("monitor", "suggestion"),
    [("val_los", "Did you mean 'val_loss'?"), ("val_accuracy", "Did you mean 'val_acc'?"), ("f1", "")],
)
def test_another_name_is_refused_before_the_first_step(
    counting: Make, make_trainer: Make, monitor: str, suggestion: str
) -> None:
    module = counting()
    with pytest.raises(MonitorError, match=f"got '{monitor}'; validation logged val_acc, val_loss.") as caught:
        make_trainer(MonitorGuard(monitor)).fit(module)
    assert module.steps == 0
    assert suggestion in str(caught.value)
    assert (caught.value.monitor, caught.value.available) == (monitor, ["val_acc", "val_loss"])


def test_a_training_metric_is_refused_before_the_first_step(counting: Make, make_trainer: Make) -> None:
    module = counting()
    with pytest.raises(MonitorError, match="a metric that validation never logs, got 'train_loss'"):
        make_trainer(MonitorGuard("train_loss")).fit(module)
    assert module.steps == 0


def test_a_validation_that_logs_nothing_is_told(counting: Make, make_trainer: Make) -> None:
    class Silent(counting):
        def validation_step(self, batch: Any, batch_idx: int) -> None: ...

    with pytest.raises(MonitorError, match=r"validation logged nothing at all\."):
        make_trainer(MonitorGuard("val_loss")).fit(Silent())


def test_without_a_sanity_check_the_first_epoch_tells(counting: Make, make_trainer: Make) -> None:
    module = counting()
    with pytest.raises(MonitorError, match="got 'val_los'"):
        make_trainer(MonitorGuard("val_los"), num_sanity_val_steps=0).fit(module)
    assert module.steps == 4


def test_without_a_sanity_check_a_training_metric_is_refused_too(counting: Make, make_trainer: Make) -> None:
    with pytest.raises(MonitorError, match="a metric that validation never logs, got 'train_loss'"):
        make_trainer(MonitorGuard("train_loss"), num_sanity_val_steps=0).fit(counting())


def test_only_the_first_validation_is_looked_at(counting: Make, make_trainer: Make) -> None:
    """A metric that some validations skip is no fault of the objective."""

    class Forgetful(counting):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            if self.trainer.sanity_checking:
                self.log("val_loss", 0.5)

    module = Forgetful()
    make_trainer(MonitorGuard("val_loss")).fit(module)
    assert module.steps == 8
