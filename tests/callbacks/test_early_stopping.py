"""keepbest's EarlyStopping: Lightning's, decided by the policy, and able to restore the best weights."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks import EarlyStopping as StockEarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

import keepbest
from keepbest.callbacks.early_stopping import EarlyStopping
from keepbest.callbacks.model_checkpoint import ModelCheckpoint
from keepbest.errors import ConfigError, KeepbestError, TimingError
from keepbest.stopping.policy import StoppingPolicy
from keepbest.stopping.reasons import StopReason

Make = Callable[..., Any]
NAN = math.nan

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")


@pytest.fixture
def stepping(scripted: Make) -> Make:
    """The scripted module, whose weight is the number of training steps taken: that of epoch e ends as 4 (e + 1)."""

    class Stepping(scripted):
        def __init__(self, scores: list[float]) -> None:
            super().__init__(scores)
            self.layer = nn.Linear(1, 1, bias=False)
            nn.init.zeros_(self.layer.weight)
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:
            self.optimizers().step(lambda: None)
            with torch.no_grad():
                self.layer.weight += 1

        @property
        def weights_of_epoch(self) -> float:
            return self.layer.weight.item() / 4 - 1

    return Stepping


@pytest.fixture
def fit(stepping: Make, make_trainer: Make) -> Callable[..., tuple[Any, Trainer]]:
    """Fit the stepping module with callbacks; give it and the trainer."""

    def run(callbacks: Any, scores: list[float], ckpt_path: Any = None, **settings: Any) -> tuple[Any, Trainer]:
        given = callbacks if isinstance(callbacks, list) else [callbacks]
        keeps = any(isinstance(callback, ModelCheckpoint) for callback in given)
        wanted = {"max_epochs": len(scores), "enable_checkpointing": keeps, **settings}
        trainer, module = make_trainer(*given, **wanted), stepping(scores)
        trainer.fit(module, ckpt_path=ckpt_path)
        return module, trainer

    return run


# In the place of Lightning's


def test_name_state_key_and_arguments_are_lightnings() -> None:
    ours, stock = EarlyStopping("score", 0.1, 4, True, "max"), StockEarlyStopping("score", 0.1, 4, True, "max")
    assert ours.state_key == stock.state_key == "EarlyStopping{'monitor': 'score', 'mode': 'max'}"
    assert {name: value for name, value in vars(ours).items() if name in vars(stock)} == vars(stock)
    assert keepbest.EarlyStopping is EarlyStopping


def test_the_state_holds_all_of_lightnings(fit: Make) -> None:
    ours, stock = EarlyStopping("score", patience=2), StockEarlyStopping("score", patience=2)
    for stopper in ours, stock:
        fit(stopper, [3, 1, 2, 2, 0])
    shared = {name: value for name, value in ours.state_dict().items() if name in stock.state_dict()}
    message = "stopping_reason_message"
    assert {**shared, message: None} == {**stock.state_dict(), message: None}
    assert stock.stopped_epoch == 3


def test_it_travels_pickled() -> None:
    ours = EarlyStopping("score", patience=4, baseline=0.5)
    assert vars(pickle.loads(pickle.dumps(ours))) == vars(ours)


def test_attributes_set_while_training_hold_from_the_next_check_on(fit: Make) -> None:
    class Impatient(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch == 3:
                trainer.early_stopping_callback.patience = 3  # type: ignore[union-attr]
            if trainer.current_epoch == 5:
                trainer.early_stopping_callback.wait_count = 0  # type: ignore[union-attr]

    for kind in StockEarlyStopping, EarlyStopping:
        stopper = kind("score", patience=9)
        _, trainer = fit([stopper, Impatient()], [1, 2, 3, 4, 3, 2, 3, 4, 5])
        assert (trainer.current_epoch, stopper.stopped_epoch) == (4, 3)


def test_several_stop_when_the_first_of_them_does(fit: Make) -> None:
    first, second = EarlyStopping("score", patience=2), EarlyStopping("nth", patience=4)
    _, trainer = fit([second, first], [1, 2, 3, 4, 5, 6])
    assert (first.stopped_epoch, second.stopped_epoch, trainer.current_epoch) == (2, 0, 3)
    assert second.stopping_reason is EarlyStoppingReason.NOT_STOPPED


def test_a_metric_that_is_missing_is_an_error_only_where_strict(fit: Make) -> None:
    with pytest.raises(RuntimeError, match="conditioned on metric `nowhere` which is not available"):
        fit(EarlyStopping("nowhere"), [1, 2])
    _, trainer = fit(EarlyStopping("nowhere", strict=False, restore_best_weights=True), [1, 2])
    assert trainer.current_epoch == 2


REASONS: dict[str, tuple[dict[str, Any], list[float], EarlyStoppingReason, str]] = {
    "patience": ({"patience": 2}, [1, 2, 3], EarlyStoppingReason.PATIENCE_EXHAUSTED, "did not improve in 2 checks"),
    "threshold": (
        {"stopping_threshold": 0.6}, [1, 0.5], EarlyStoppingReason.STOPPING_THRESHOLD,
        "Stopping threshold reached: score is 0.5, beyond 0.6",
    ),
    "divergence": (
        {"divergence_threshold": 8}, [1, 9], EarlyStoppingReason.DIVERGENCE_THRESHOLD,
        "Divergence threshold reached: score is 9, beyond 8",
    ),
    "NaN": ({}, [1, NAN], EarlyStoppingReason.NON_FINITE_METRIC, "score is not finite: nan, best 1"),
    "a first NaN": ({}, [NAN], EarlyStoppingReason.NON_FINITE_METRIC, "score is not finite: nan, no best yet"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "scores", "reason", "message"), REASONS.values(), ids=REASONS)
def test_it_says_why_it_stopped(
    fit: Make,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, Any],
    scores: list[float],
    reason: EarlyStoppingReason,
    message: str,
) -> None:
    stopper = EarlyStopping("score", verbose=True, **settings)
    logging.getLogger("lightning.pytorch").propagate = True
    fit(stopper, [*scores, 0, 0])
    assert (stopper.stopping_reason, stopper.stopped_epoch) == (reason, len(scores) - 1)
    assert message in (stopper.stopping_reason_message or "")
    assert message in caplog.text


def test_a_trainer_that_validates_by_time_is_served(fit: Make) -> None:
    """Lightning's class raises AttributeError there."""
    stopper = EarlyStopping("score", patience=2)
    _, trainer = fit(stopper, [1, 2, 3, 4, 5], val_check_interval="00:00:00:00", max_epochs=9)
    assert stopper.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED
    assert (stopper.stopped_epoch, trainer.global_step) == (0, 3)


# Settings


def test_auto_tells_the_mode_by_the_name() -> None:
    assert EarlyStopping("val_loss", mode="auto").mode == "min"
    assert EarlyStopping("val/f1_score", mode="auto").mode == "max"
    with pytest.raises(ConfigError, match=r"mode='auto' needs a metric.*, got 'score'\. Give mode='min' or mode='max'"):
        EarlyStopping("score", mode="auto")


def test_another_mode_is_refused_with_lightnings_error() -> None:
    with pytest.raises(MisconfigurationException, match=r"`mode` can be .*, got lowest"):
        EarlyStopping("score", mode="lowest")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": -1}, "patience must be a whole number of checks, at least 0, got -1"),
        ({"patience": "3"}, "patience must be a whole number"),
        ({"patience": 2.5}, "patience must be a whole number"),
        ({"min_delta": "x"}, "min_delta must be a finite number, got 'x'"),
        ({"min_delta": -0.1}, "min_delta must not be negative, got -0.1"),
        ({"min_delta": -0.1, "mode": "max"}, "min_delta must not be negative, got -0.1"),
        ({"baseline": NAN}, "baseline must be a finite number"),
        ({"start_from_epoch": -1}, "start_from_epoch must be a whole number of epochs"),
        ({"stopping_threshold": 2, "divergence_threshold": 1}, "stopping_threshold must lie below"),
        ({"restore_best_weights": "yes"}, "restore_best_weights must be true, false or 'policy_best', got 'yes'"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_when_it_is_given(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EarlyStopping("score", **settings)


def test_its_policy_is_a_pure_value_of_its_settings(fit: Make) -> None:
    settings = {"patience": 4, "min_delta": 0.5, "baseline": 3.0, "start_from_epoch": 1, "stopping_threshold": -1.0}
    stopper = EarlyStopping("score", **settings)
    assert stopper.policy == StoppingPolicy(**settings)
    fit(stopper, [1, 2], min_epochs=2)
    assert stopper.policy == StoppingPolicy(**settings, min_epochs=2)


@pytest.mark.parametrize("kind", [EarlyStopping, ModelCheckpoint])
def test_a_trainer_of_the_other_package_is_refused_with_the_import_to_change(kind: Make, tmp_path: Path) -> None:
    """Lightning says nothing there, and takes no notice of the callback where it matters."""

    class Module(pytorch_lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self.layer(batch[0]).sum()

        def train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(4, 1)))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pytorch_lightning.Trainer(default_root_dir=tmp_path, callbacks=[kind(monitor="score")], **quiet)
    with pytest.raises(
        KeepbestError, match=r"got a Trainer of the package pytorch_lightning.*import lightning.pytorch"
    ):
        trainer.fit(Module())


# min_epochs and min_steps

RECOVERS = [1, 2, 3, 0.5, 0.25, 0.75, 0.8, 0.9, 0.9]


def test_a_reason_found_before_min_epochs_is_forgotten_when_the_metric_recovers(fit: Make) -> None:
    """Lightning stops when min_epochs are over, whatever came since."""
    stock, ours = StockEarlyStopping("score", patience=2), EarlyStopping("score", patience=2)
    _, trainer = fit(stock, RECOVERS, min_epochs=5)
    assert trainer.current_epoch == 5
    _, trainer = fit(ours, RECOVERS, min_epochs=5)
    assert (trainer.current_epoch, ours.stopped_epoch) == (7, 6)


def test_it_stops_when_min_epochs_are_over_if_the_reason_still_stands(fit: Make) -> None:
    stopper = EarlyStopping("score", patience=2)
    _, trainer = fit(stopper, [1, 2, 3, 4, 5, 6, 7], min_epochs=5)
    assert (trainer.current_epoch, stopper.stopped_epoch, stopper.wait_count) == (5, 4, 4)


def test_the_same_holds_for_min_steps(fit: Make) -> None:
    stopper = EarlyStopping("score", patience=2)
    _, trainer = fit(stopper, RECOVERS, min_steps=18)
    assert trainer.current_epoch == 7
    stopper = EarlyStopping("score", patience=2)
    _, trainer = fit(stopper, [1, 2, 3, 4, 5, 6, 7], min_steps=18)
    assert (trainer.global_step, stopper.stopped_epoch) == (20, 4)


def test_checks_in_the_middle_of_the_last_required_epoch_do_not_stop(fit: Make) -> None:
    """The epoch goes on to its end, and what is checked there decides."""
    stopper = EarlyStopping("score", patience=1)
    _, trainer = fit(stopper, [1, 2, 3, 0.5, 0.25, 2], min_epochs=1, max_epochs=2, val_check_interval=0.25)
    assert (trainer.global_step, stopper.stopped_epoch) == (6, 1)


# Restoring


def test_the_best_weights_are_restored_after_an_early_stop(fit: Make) -> None:
    stopper = EarlyStopping("score", patience=2, restore_best_weights=True)
    module, trainer = fit(stopper, [3, 1, 2, 2, 0])
    assert (trainer.current_epoch, module.weights_of_epoch) == (4, 1)
    assert (stopper.best_epoch, stopper.best_model_score) == (1, 1.0)


def test_and_when_max_epochs_ended_the_training(fit: Make) -> None:
    stopper = EarlyStopping("score", mode="max", patience=9, restore_best_weights=True)
    module, trainer = fit(stopper, [3, 5, 4, 4])
    assert (trainer.current_epoch, module.weights_of_epoch, stopper.stopped_epoch) == (4, 1, 0)


def test_and_when_max_steps_ended_it(fit: Make) -> None:
    stopper = EarlyStopping("score", restore_best_weights=True)
    module, _ = fit(stopper, [3, 1, 2, 2, 0], max_epochs=-1, max_steps=14)
    assert module.weights_of_epoch == 1


def test_without_it_the_last_weights_stay(fit: Make) -> None:
    stopper = EarlyStopping("score", patience=2)
    module, _ = fit(stopper, [3, 1, 2, 2, 0])
    assert (module.weights_of_epoch, stopper.best_epoch, stopper.best_model_score) == (3, None, None)


def test_of_checks_within_an_epoch_the_weights_are_those_of_the_check(fit: Make) -> None:
    stopper = EarlyStopping("score", patience=2, restore_best_weights=True)
    module, _ = fit(stopper, [3, 1, 2, 2], val_check_interval=0.25)
    assert module.layer.weight.item() == 2


def test_the_strict_best_or_the_policys_is_restored(fit: Make) -> None:
    """They differ where min_delta refuses an improvement."""
    scores = [3, 2, 1.75, 1.5, 1.75, 1.75]
    for wanted, epoch in {True: 3, "policy_best": 1}.items():
        stopper = EarlyStopping("score", min_delta=0.5, patience=4, restore_best_weights=wanted)  # type: ignore[arg-type]
        module, _ = fit(stopper, scores)
        assert (module.weights_of_epoch, float(stopper.best_score)) == (epoch, 2.0)
        assert (stopper.best_epoch, stopper.best_model_score) == (epoch, scores[epoch])


def test_the_value_that_reached_the_threshold_is_the_best(fit: Make) -> None:
    stopper = EarlyStopping("score", stopping_threshold=0.9, restore_best_weights=True)
    module, _ = fit(stopper, [3, 2, 0.5, 4])
    assert (module.weights_of_epoch, float(stopper.best_score)) == (2, 2.0)


@pytest.mark.parametrize("scores", [[NAN, NAN], [math.inf, NAN]])
def test_without_a_number_nothing_is_restored_and_it_says_so(fit: Make, scores: list[float]) -> None:
    stopper = EarlyStopping("score", check_finite=False, restore_best_weights=True)
    with pytest.warns(UserWarning, match="No best weights were restored: no check of score in this fit was better"):
        module, _ = fit(stopper, scores)
    assert (module.weights_of_epoch, stopper.best_epoch) == (1, None)


def test_the_finite_best_is_restored_when_the_training_diverges(fit: Make) -> None:
    module, trainer = fit(EarlyStopping("score", restore_best_weights=True), [3, 2, NAN, 1])
    assert (module.weights_of_epoch, trainer.current_epoch) == (1, 3)


def test_an_exception_leaves_the_weights_as_they_are(fit: Make, stepping: Make, make_trainer: Make) -> None:
    class Dies(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch == 3:
                raise RuntimeError("the lights went out")

    module = stepping([1, 2, 3, 4])
    with pytest.raises(RuntimeError, match="the lights went out"):
        make_trainer(EarlyStopping("score", patience=9, restore_best_weights=True), Dies(), max_epochs=5).fit(module)
    assert module.weights_of_epoch == 2


def test_buffers_and_extra_state_are_restored_too(scripted: Make, make_trainer: Make) -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
            self.notes: list[int] = []

        def get_extra_state(self) -> list[int]:
            return self.notes

        def set_extra_state(self, state: list[int]) -> None:
            self.notes = list(state)

    class Counting(scripted):
        def __init__(self, scores: list[float]) -> None:
            super().__init__(scores)
            self.counter = Counter()

        def on_train_epoch_start(self) -> None:
            self.counter.seen += 1
            self.counter.notes.append(self.current_epoch)

    module = Counting([3, 1, 2])
    make_trainer(EarlyStopping("score", restore_best_weights=True)).fit(module)
    assert (module.counter.seen.item(), module.counter.notes) == (2, [0, 1])


def test_checkpoints_of_the_last_step_hold_the_last_weights(fit: Make, tmp_path: Path) -> None:
    """The weights are restored after the fit's last checkpoint is written."""
    keeper = ModelCheckpoint(tmp_path, monitor="score", save_last="every_epoch")
    module, _ = fit([EarlyStopping("score", patience=2, restore_best_weights=True), keeper], [3, 1, 2, 2, 0])
    weight = {path.name: torch.load(path, weights_only=True)["state_dict"]["layer.weight"].item() for path in
              tmp_path.iterdir()}  # fmt: skip
    assert weight == {"last.ckpt": 16, "epoch=1-step=8.ckpt": 8}
    assert module.layer.weight.item() == 8


@pytest.mark.parametrize("wanted", [True, "policy_best"])
def test_restoring_by_a_training_metric_is_refused(fit: Make, scripted: Make, make_trainer: Make, wanted: Any) -> None:
    """`loss` is logged by the training step."""
    with pytest.raises(TimingError, match="got 'loss', which training_step logs: it is computed before the step"):
        make_trainer(EarlyStopping("loss", restore_best_weights=wanted)).fit(scripted([1, 2, 3]))


def test_restoring_by_what_the_end_of_the_epoch_logs_is_fine(scripted: Make, make_trainer: Make) -> None:
    stopper = EarlyStopping("wrapped_up", restore_best_weights=True)  # logged by the module's on_train_epoch_end
    with pytest.warns(UserWarning, match="by wrapped_up, which the end of the training epoch logs") as caught:
        make_trainer(stopper).fit(scripted([1, 2, 3]))
    assert stopper.best_epoch == 0
    assert sum("wrapped_up" in str(each.message) for each in caught) == 1


def test_a_value_that_is_older_than_the_weights_keeps_nothing(fit: Make) -> None:
    stopper = EarlyStopping("score", patience=9, check_on_train_epoch_end=True, restore_best_weights=True)
    with pytest.warns(UserWarning, match="No best weights were restored: .* or none came right after its validation"):
        module, _ = fit(stopper, [3, 2, 1, 1], val_check_interval=0.75, max_epochs=2)
    assert (module.weights_of_epoch, stopper.best_epoch) == (1, None)


def test_a_stale_value_at_the_end_of_a_broken_epoch_keeps_nothing(fit: Make) -> None:
    """With a warm-up it is the first value that the policy looks at."""
    stopper = EarlyStopping("score", restore_best_weights="policy_best", start_from_epoch=1)
    with pytest.warns(UserWarning, match="No best weights were restored"):
        fit(stopper, [3, 2, 1], max_steps=6, max_epochs=-1)
    assert stopper.best_epoch is None


@pytest.mark.parametrize("hook", ["on_validation_epoch_end", "on_train_epoch_end"])
def test_weights_that_validation_did_not_see_are_never_kept_as_best(
    stepping: Make, make_trainer: Make, hook: str
) -> None:
    """As with an average of the weights that is only there while validating."""

    class Writes(Callback):
        def write(self, trainer: Trainer, pl_module: LightningModule) -> None:
            with torch.no_grad():
                pl_module.layer.weight += 0.5

    setattr(Writes, hook, Writes.write)
    stopper = EarlyStopping("score", restore_best_weights=True)
    with pytest.raises(KeepbestError, match="must find the weights that validation saw, but they have changed since"):
        make_trainer(Writes(), stopper).fit(stepping([3, 2, 1]))


def test_lightnings_weight_averaging_beside_it_is_refused(scripted: Make, make_trainer: Make) -> None:
    from lightning.pytorch.callbacks import EMAWeightAveraging

    stopper = EarlyStopping("score", restore_best_weights=True)
    with pytest.raises(KeepbestError, match=r"WeightAveraging.*Use a ModelCheckpoint"):
        make_trainer(EMAWeightAveraging(decay=0.5), stopper).fit(scripted([3, 2, 1]))


def test_a_frozen_part_that_the_module_leaves_out_of_its_state_stays_out(scripted: Make, make_trainer: Make) -> None:
    class Frozen(scripted):
        def __init__(self, scores: list[float]) -> None:
            super().__init__(scores)
            self.frozen = nn.Linear(1, 1)
            self.strict_loading = False

        def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {name: value for name, value in super().state_dict().items() if "frozen" not in name}

    stopper = EarlyStopping("score", restore_best_weights=True)
    make_trainer(stopper).fit(Frozen([3, 1, 2]))
    assert stopper.best_epoch == 1


def test_a_model_whose_parameters_were_renamed_is_told_so(stepping: Make, make_trainer: Make) -> None:
    class Renames(Callback):
        def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            pl_module.other = pl_module.layer
            del pl_module.layer

    stopper = EarlyStopping("score", restore_best_weights=True)
    with pytest.raises(KeepbestError, match="must have the parameters that it had in epoch 1, whose weights cannot"):
        make_trainer(stopper, Renames()).fit(stepping([3, 1, 2]))


def test_a_metric_that_is_also_logged_by_step_is_validations_at_the_check(stepping: Make, make_trainer: Make) -> None:
    class Both(stepping):
        def training_step(self, batch: Any, batch_idx: int) -> None:
            super().training_step(batch, batch_idx)
            self.log("score", -1.0, on_step=True, on_epoch=False)

    module, stopper = Both([3, 1, 2]), EarlyStopping("score", restore_best_weights=True)
    make_trainer(stopper).fit(module)
    assert (stopper.best_model_score, module.weights_of_epoch) == (1.0, 1)


@pytest.mark.parametrize("hook", ["on_train_epoch_start", "on_train_batch_start"])
def test_a_metric_of_another_hook_before_the_end_of_the_epoch_is_refused(
    scripted: Make, make_trainer: Make, hook: str
) -> None:
    class Early(scripted):
        pass

    setattr(Early, hook, lambda self, *_: self.log("early", float(-self.current_epoch), on_epoch=True))
    with pytest.raises(TimingError, match="got 'early'"):
        make_trainer(EarlyStopping("early", restore_best_weights=True)).fit(Early([1, 2, 3]))


def test_a_subclass_that_judges_by_itself_restores_the_best_all_the_same(fit: Make) -> None:
    class Never(EarlyStopping):
        def _evaluate_stopping_criteria(self, current: torch.Tensor) -> tuple[bool, str | None]:
            return False, None

    stopper = Never("score", restore_best_weights=True)
    module, _ = fit(stopper, [3, 1, 2])
    assert (module.weights_of_epoch, stopper.best_model_score) == (1, 1.0)


def test_a_state_loaded_by_hand_before_the_first_fit_is_gone_on_from(fit: Make, stepping: Make) -> None:
    first = EarlyStopping("score", patience=9, restore_best_weights=True)
    module = stepping([])
    first.load_state_dict({
        **first.state_dict(), "best_score": torch.tensor(2.0),
        "best_weights": {"score": 2.0, "epoch": 7, "weights": module.state_dict()},
    })  # fmt: skip
    fitted, _ = fit(first, [3, 5, 4])
    assert (first.best_epoch, first.best_model_score, fitted.layer.weight.item()) == (7, 2.0, 0.0)


def test_under_a_strategy_that_spreads_the_model_it_is_refused(make_trainer: Make, scripted: Make) -> None:
    from lightning.pytorch.strategies import FSDPStrategy

    trainer = make_trainer()
    trainer.strategy.__class__ = type("Fsdp", (FSDPStrategy,), {})  # a stand-in: FSDP itself needs a GPU
    with pytest.raises(KeepbestError, match="must have the whole model on each device, got Fsdp"):
        EarlyStopping("score", restore_best_weights=True).setup(trainer, scripted([1]), "fit")


def test_the_policys_state_is_at_hand(fit: Make) -> None:
    stopper = EarlyStopping("score", patience=2, min_delta=0.5)
    fit(stopper, [3, 2, 1.75, 1.75, 1])
    state = stopper.policy_state
    assert (state.best, state.best_epoch, state.checks, state.stopped_epoch) == (2.0, 1, 4, 3)
    assert state.reason is StopReason.PATIENCE_EXHAUSTED
