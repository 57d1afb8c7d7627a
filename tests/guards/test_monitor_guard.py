"""An objective that nobody logs ends the run before its first training step, with the names that are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import EarlyStopping as StockEarlyStopping
from lightning.pytorch.callbacks import ModelCheckpoint as StockModelCheckpoint

from keepbest.callbacks.early_stopping import EarlyStopping
from keepbest.callbacks.model_checkpoint import ModelCheckpoint
from keepbest.errors import MonitorError, TimingError
from keepbest.guards.monitor import MonitorGuard

Make = Callable[..., Any]
RESTORING = {
    "keepbest's checkpoint": lambda monitor: ModelCheckpoint(monitor=monitor),
    "Lightning's checkpoint": lambda monitor: StockModelCheckpoint(monitor=monitor),
    "from memory": lambda monitor: EarlyStopping(monitor, restore_best_weights=True),
}

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")


@pytest.fixture(autouse=True)
def _leaves_nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoint callbacks without a directory write below the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("monitor", ["val_loss", "val_acc"])
def test_a_metric_that_validation_logs_passes(counting: Make, make_trainer: Make, monitor: str) -> None:
    module = counting()
    make_trainer(MonitorGuard(monitor)).fit(module)
    assert module.steps == 8


@pytest.mark.parametrize("restoring", RESTORING.values(), ids=RESTORING)
@pytest.mark.parametrize(
    ("monitor", "suggestion"),
    [("val_los", "Did you mean 'val_loss'?"), ("val_accuracy", "Did you mean 'val_acc'?"), ("f1", "")],
)
def test_another_name_is_refused_before_the_first_step(
    counting: Make, make_trainer: Make, monitor: str, suggestion: str, restoring: Make
) -> None:
    module = counting()
    with pytest.raises(MonitorError, match=f"got '{monitor}'; validation logged val_acc, val_loss.") as caught:
        make_trainer(MonitorGuard(monitor), restoring(monitor), enable_checkpointing=True).fit(module)
    assert module.steps == 0
    assert suggestion in str(caught.value)
    assert (caught.value.monitor, caught.value.available) == (monitor, ["val_acc", "val_loss"])


def test_where_nothing_is_restored_it_is_refused_after_the_first_step(counting: Make, make_trainer: Make) -> None:
    """Training might have logged it."""
    module = counting()
    with pytest.raises(MonitorError, match=r"got 'val_los'; validation logged val_acc, val_loss\."):
        make_trainer(MonitorGuard("val_los")).fit(module)
    assert module.steps == 1


@pytest.mark.parametrize("restoring", RESTORING.values(), ids=RESTORING)
def test_restoring_by_a_training_metric_is_refused_before_the_first_step(
    counting: Make, make_trainer: Make, restoring: Make
) -> None:
    module = counting()
    with pytest.raises(MonitorError, match=r"got 'train_loss'.*computed before the step that changes the weights"):
        make_trainer(MonitorGuard("train_loss"), restoring("train_loss"), enable_checkpointing=True).fit(module)
    assert module.steps == 0


@pytest.mark.parametrize("restoring", RESTORING.values(), ids=RESTORING)
def test_restoring_by_a_metric_that_training_logs_too_is_refused_after_the_first_step(
    counting: Make, make_trainer: Make, restoring: Make
) -> None:
    """Lightning mixes the two values under the one name."""

    class Both(counting):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            self.log("val_loss", loss, on_epoch=True)
            return loss

    module = Both()
    with pytest.raises(TimingError, match="got 'val_loss', which training_step logs: it is computed before the step"):
        make_trainer(MonitorGuard("val_loss"), restoring("val_loss"), enable_checkpointing=True).fit(module)
    assert module.steps == 1


@pytest.mark.parametrize("restoring", RESTORING.values(), ids=RESTORING)
def test_the_same_name_logged_by_step_does_no_harm(counting: Make, make_trainer: Make, restoring: Make) -> None:
    """At the end of the epoch Lightning shows validation's value."""

    class Both(counting):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            self.log("val_loss", loss, on_step=True, on_epoch=False)
            return loss

    module = Both()
    make_trainer(MonitorGuard("val_loss"), restoring("val_loss"), enable_checkpointing=True).fit(module)
    assert module.steps == 8


def test_what_passed_once_passes_in_a_resumed_training(counting: Make, make_trainer: Make, tmp_path: Path) -> None:
    """One that goes on in the middle of an epoch has no sanity check to learn from."""

    class Both(counting):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            self.log("val_loss", loss, on_step=True, on_epoch=False)
            return loss

    def fit(epochs: int, ckpt_path: Path | None = None, **settings: Any) -> Any:
        keeper = ModelCheckpoint(tmp_path, filename="best", monitor="val_loss", save_last="every_epoch")
        trainer = make_trainer(
            MonitorGuard("val_loss"), keeper, max_epochs=epochs, enable_checkpointing=True, **settings
        )
        trainer.fit(module := Both(), ckpt_path=ckpt_path, weights_only=True)
        return module

    assert fit(1).steps == 4
    assert fit(2, tmp_path / "last.ckpt", num_sanity_val_steps=0).steps == 4


@pytest.mark.parametrize("sanity_steps", [0, 2])
def test_stopping_by_a_training_metric_is_worth_a_warning(
    counting: Make, make_trainer: Make, caplog: pytest.LogCaptureFixture, sanity_steps: int
) -> None:
    module, stopper = counting(), StockEarlyStopping("train_loss")
    make_trainer(MonitorGuard("train_loss"), stopper, num_sanity_val_steps=sanity_steps).fit(module)
    assert module.steps == 8
    assert caplog.text.count("train_loss is logged by training") == 1


def test_turned_off_it_lets_a_training_metric_pass(
    counting: Make, make_trainer: Make, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    module = counting()
    keeper = ModelCheckpoint(tmp_path, monitor="train_loss")
    make_trainer(MonitorGuard("train_loss", training=False), keeper, enable_checkpointing=True).fit(module)
    assert module.steps == 8
    assert keeper.best_model_path
    assert "training_step" not in caplog.text


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


def test_only_the_first_validation_is_looked_at(counting: Make, make_trainer: Make) -> None:
    """A metric that some validations skip is no fault of the objective."""

    class Forgetful(counting):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            if self.trainer.sanity_checking:
                self.log("val_loss", 0.5)

    module = Forgetful()
    make_trainer(MonitorGuard("val_loss")).fit(module)
    assert module.steps == 8
