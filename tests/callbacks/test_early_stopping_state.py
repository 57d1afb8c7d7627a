"""A training that was cut anywhere goes on as if nothing had happened, with this class or with Lightning's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as StockEarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from torch.utils.data import DataLoader, TensorDataset

from keepbest import EarlyStopping, ModelCheckpoint
from keepbest.stopping.reasons import StopReason

INF, NAN = float("inf"), float("nan")
MakeTrainer = Callable[..., Trainer]


class Steps(LightningModule):
    """A weight that grows by one each step, and a validation after each step that logs the next of a list of values.

    So the weights of check number n, counted from 0, are n + 1.
    """

    def __init__(self, values: list[float], checks_per_epoch: int = 1, fails_in: int | None = None) -> None:
        super().__init__()
        self.values, self.checks_per_epoch, self.fails_in = values, checks_per_epoch, fails_in
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.trained: list[int] = []

    def data(self, batches: int) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.zeros(batches, 1)))

    def train_dataloader(self) -> DataLoader[Any]:
        return self.data(self.checks_per_epoch)

    def val_dataloader(self) -> DataLoader[Any]:
        return self.data(1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.current_epoch == self.fails_in:
            raise RuntimeError("the machine went down")
        self.trained.append(self.current_epoch)
        return -self.weight.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("score", self.values[self.trainer.global_step - 1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1)

    @property
    def restored(self) -> int:
        """The number of the check whose weights it has."""
        return int(self.weight) - 1


def fit(
    make_trainer: MakeTrainer, model: Steps, *callbacks: Callback, ckpt_path: Path | None = None, **trainer: Any
) -> Steps:
    """Train to the last of the values, unless a callback stops it earlier."""
    made = make_trainer(
        *callbacks,
        max_epochs=len(model.values) // model.checks_per_epoch,
        val_check_interval=1.0 / model.checks_per_epoch,
        num_sanity_val_steps=0,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        **trainer,
    )
    made.fit(model, ckpt_path=ckpt_path)
    return model


def each_check(directory: Path) -> ModelCheckpoint:
    """A callback that keeps a checkpoint of each check."""
    return ModelCheckpoint(directory, filename="{step}", save_top_k=-1, auto_insert_metric_name=False)


def checkpoints(directory: Path) -> list[Path]:
    return sorted(directory.iterdir(), key=lambda path: int(path.stem))


def outcome(stopping: EarlyStopping, model: Steps) -> dict[str, str]:
    """Return all that is known after a training, as texts, because NaN is not NaN."""
    known = {name: value for name, value in stopping.state_dict().items() if name != "best_weights"}
    known |= {"best_epoch": stopping.best_epoch, "best_model_score": stopping.best_model_score}
    return {name: repr(value) for name, value in {**known, "restored": model.restored}.items()}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """What the callbacks say. Lightning's loggers may not hand on to the root, where caplog listens."""
    logger = logging.getLogger("lightning.pytorch.keepbest")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, logger.name):
        yield lambda: list(
            dict.fromkeys(record.getMessage() for record in caplog.records if record.name == logger.name)
        )
    logger.removeHandler(caplog.handler)


# few different values, so that ties, thresholds and non-finite values occur
VALUE = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, NAN, INF, -INF])


@st.composite
def settings_of_callback(draw: st.DrawFn) -> dict[str, Any]:
    mode = draw(st.sampled_from(["min", "max"]))
    good, bad = (0.25, 1.5) if mode == "min" else (1.5, 0.25)
    return {
        "mode": mode,
        "patience": draw(st.integers(0, 4)),
        "min_delta": draw(st.sampled_from([0.0, 0.25])),
        "stopping_threshold": draw(st.sampled_from([None, None, good])),
        "divergence_threshold": draw(st.sampled_from([None, None, bad])),
        "check_finite": draw(st.sampled_from([False, False, True])),
        "baseline": draw(st.sampled_from([None, 0.75])),
        "start_from_epoch": draw(st.integers(0, 2)),
        "restore_best_weights": draw(st.sampled_from([True, "policy_best"])),
    }


# the fixture is a function without a state, and each example has a directory of its own
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(settings_of_callback(), st.integers(0, 4), st.sampled_from([1, 1, 2]), st.integers(1, 5), st.data())
@pytest.mark.filterwarnings("ignore:No best weights were restored")
def test_a_training_that_was_cut_after_any_check_ends_as_the_unbroken_one(
    make_trainer: MakeTrainer,
    tmp_path_factory: pytest.TempPathFactory,
    stopping: dict[str, Any],
    min_epochs: int,
    per_epoch: int,
    epochs: int,
    data: st.DataObject,
) -> None:
    values = data.draw(st.lists(VALUE, min_size=epochs * per_epoch, max_size=epochs * per_epoch))
    directory, limits = tmp_path_factory.mktemp("cut"), {"min_epochs": min(min_epochs, epochs)}
    unbroken = EarlyStopping("score", **stopping)
    model = fit(make_trainer, Steps(values, per_epoch), unbroken, each_check(directory), **limits)
    saved = checkpoints(directory)
    assert len(saved) == unbroken.policy_state.checks

    cut = data.draw(st.sampled_from(saved))
    resumed = EarlyStopping("score", **stopping)
    again = fit(make_trainer, Steps(values, per_epoch), resumed, ckpt_path=cut, **limits)
    assert len(again.trained) == len(model.trained) - int(cut.stem), "no step twice, none left out"
    assert outcome(resumed, again) == outcome(unbroken, model)


# settings, values, epochs that are trained
STOPS: dict[str, tuple[dict[str, Any], list[float], int]] = {
    "patience": ({"patience": 2}, [3, 4, 2, 2, 2, 1], 5),
    "NaN": ({"patience": 5}, [3, 2, NAN, 1, 1], 3),
    "stopping threshold": ({"stopping_threshold": 0.5}, [3, 2, 0.4, 1, 1], 3),
    "divergence threshold": ({"divergence_threshold": 5}, [3, 2, 6, 1, 1], 3),
}
each_stop = pytest.mark.parametrize(("stopping", "values", "trained"), STOPS.values(), ids=STOPS)


def last_of_a_stopped_run(
    make_trainer: MakeTrainer, directory: Path, stopping: dict[str, Any], values: list[float]
) -> tuple[Path, EarlyStopping, Steps]:
    callback = EarlyStopping("score", restore_best_weights=True, **stopping)
    model = fit(make_trainer, Steps(values), callback, ModelCheckpoint(directory, save_last="every_epoch"))
    return directory / "last.ckpt", callback, model


@each_stop
def test_a_resumed_run_that_had_stopped_trains_no_further_epoch_however_often(
    make_trainer: MakeTrainer,
    tmp_path: Path,
    lines: Callable[[], list[str]],
    stopping: dict[str, Any],
    values: list[float],
    trained: int,
) -> None:
    last, unbroken, model = last_of_a_stopped_run(make_trainer, tmp_path, stopping, values)
    assert model.trained == list(range(trained))
    for _ in range(2):
        callback = EarlyStopping("score", restore_best_weights=True, **stopping)
        again = fit(
            make_trainer, Steps(values), callback, ModelCheckpoint(tmp_path, save_last="every_epoch"), ckpt_path=last
        )
        assert again.trained == []
        assert outcome(callback, again) == outcome(unbroken, model)
    assert len([line for line in lines() if line.startswith("The run had stopped early, and is not trained")]) == 1


# stopping, values, the settings that are given on resuming instead, epochs that are trained then
INSTEAD: dict[str, tuple[dict[str, Any], list[float], dict[str, Any], list[int]]] = {
    "more patience": ({"patience": 2}, [3, 4, 2, 2, 2, 2, 2], {"patience": 3}, [5]),
    "more patience, and an improvement": ({"patience": 1}, [3, 4, 2, 2, 1], {"patience": 2}, [2, 3, 4]),
    "a NaN may be": ({"patience": 5}, [3, 2, NAN, 4, 4], {"patience": 2, "check_finite": False}, [3, 4]),
    "no stopping threshold": ({"stopping_threshold": 0.5}, [3, 2, 0.4, 1, 0.3], {}, [3, 4]),
    "a farther stopping threshold": (
        {"stopping_threshold": 0.5},
        [3, 0.4, 1, 0.2],
        {"stopping_threshold": 0.3},
        [2, 3],
    ),
    "a farther divergence threshold": (
        {"divergence_threshold": 5},
        [3, 6, 1, 7],
        {"divergence_threshold": 6.5},
        [2, 3],
    ),
}


@pytest.mark.parametrize(("stopping", "values", "instead", "trained"), INSTEAD.values(), ids=INSTEAD)
def test_it_goes_on_under_settings_that_would_not_have_stopped_it(
    make_trainer: MakeTrainer,
    tmp_path: Path,
    stopping: dict[str, Any],
    values: list[float],
    instead: dict[str, Any],
    trained: list[int],
) -> None:
    last, _, model = last_of_a_stopped_run(make_trainer, tmp_path, stopping, values)
    assert model.trained[-1] + 1 == trained[0]
    callback = EarlyStopping("score", restore_best_weights=True, **instead)
    assert fit(make_trainer, Steps(values), callback, ckpt_path=last).trained == trained


@pytest.mark.parametrize("more", [3, 4, 5, 9])
def test_with_more_patience_it_ends_as_a_run_that_had_it_from_the_start(
    make_trainer: MakeTrainer, tmp_path: Path, more: int
) -> None:
    values = [3, 4, 2, 2, 2, 2, 1, 2, 2, 2, 2]
    last, stopped, _ = last_of_a_stopped_run(make_trainer, tmp_path, {"patience": 2}, values)
    assert stopped.stopped_epoch == 4
    resumed, unbroken = (EarlyStopping("score", patience=more, restore_best_weights=True) for _ in range(2))
    again = fit(make_trainer, Steps(values), resumed, ckpt_path=last)
    assert outcome(resumed, again) == outcome(unbroken, fit(make_trainer, Steps(values), unbroken))


def test_with_less_patience_than_was_waited_the_next_check_without_improvement_stops(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    values = [1, 2, 2, 2, 2, 2, 2, 2]
    fit(make_trainer, Steps(values), EarlyStopping("score", patience=6), each_check(tmp_path))
    callback = EarlyStopping("score", patience=2)
    assert fit(make_trainer, Steps(values), callback, ckpt_path=checkpoints(tmp_path)[3]).trained == [4]
    assert (callback.stopped_epoch, callback.wait_count) == (4, 4)


@pytest.mark.parametrize(
    ("patience", "line"),
    [(4, ["Early stopping goes on with the configured patience of 4, it was 2 before."]), (2, [])],
)
def test_the_configured_patience_wins_over_the_checkpoints_and_a_line_says_so_where_they_differ(
    make_trainer: MakeTrainer, tmp_path: Path, lines: Callable[[], list[str]], patience: int, line: list[str]
) -> None:
    values = [1, 2, 2, 2, 2, 2]
    fit(make_trainer, Steps(values), EarlyStopping("score", patience=2), each_check(tmp_path))
    callback = EarlyStopping("score", patience=patience)
    fit(make_trainer, Steps(values), callback, ckpt_path=checkpoints(tmp_path)[1])
    assert (callback.patience, callback.policy.patience, callback.stopped_epoch) == (patience, patience, patience)
    assert lines() == line


@pytest.mark.parametrize("fails_in", [1, 3, 4])
def test_a_run_that_broke_down_in_any_epoch_is_resumed_from_its_last_checkpoint(
    make_trainer: MakeTrainer, tmp_path: Path, fails_in: int
) -> None:
    values, stopping = [3, 4, 2, 2, 2, 2, 2], {"patience": 3, "restore_best_weights": True}
    unbroken = EarlyStopping("score", **stopping)
    model = fit(make_trainer, Steps(values), unbroken)
    last = ModelCheckpoint(tmp_path, save_last="every_epoch")
    broken = EarlyStopping("score", **stopping)
    with pytest.raises(RuntimeError, match="the machine went down"):
        fit(make_trainer, Steps(values, fails_in=fails_in), broken, last)

    resumed = EarlyStopping("score", **stopping)
    again = fit(make_trainer, Steps(values), resumed, ckpt_path=tmp_path / "last.ckpt")
    assert again.trained == list(range(fails_in, 6))
    assert outcome(resumed, again) == outcome(unbroken, model)
    assert again.restored == 2


def test_a_stop_at_the_last_check_of_the_epoch_that_completes_min_epochs_stands_on_resuming(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    values = [1, 2, 2, 2]
    unbroken, resumed = (EarlyStopping("score", patience=1) for _ in range(2))
    model = fit(make_trainer, Steps(values, checks_per_epoch=2), unbroken, each_check(tmp_path), min_epochs=1)
    assert model.trained == [0, 0]
    last = checkpoints(tmp_path)[-1]
    again = fit(make_trainer, Steps(values, checks_per_epoch=2), resumed, ckpt_path=last, min_epochs=1)
    assert again.trained == []
    assert outcome(resumed, again) == outcome(unbroken, model)


# with Lightning's class


@pytest.mark.parametrize(("monitor", "mode"), [("score", "min"), ("val/acc", "max")])
def test_the_state_has_the_key_of_lightnings_class(monitor: str, mode: str) -> None:
    ours = EarlyStopping(monitor, mode=mode, restore_best_weights=True, baseline=1, start_from_epoch=2)
    assert ours.state_key == StockEarlyStopping(monitor, mode=mode).state_key
    assert ours.state_dict().keys() >= StockEarlyStopping(monitor, mode=mode).state_dict().keys()


def test_a_checkpoint_of_either_holds_one_state_under_the_same_key(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    keys = []
    for stopping in (StockEarlyStopping("score"), EarlyStopping("score")):
        directory = tmp_path / str(len(keys))
        fit(make_trainer, Steps([1, 2]), stopping, each_check(directory))
        states = torch.load(checkpoints(directory)[0], weights_only=False)["callbacks"]
        keys.append({key for key in states if key.startswith("EarlyStopping")})
    assert keys[0] == keys[1] == {StockEarlyStopping("score").state_key}


MIXED = [3, 4, 2, 2, 2, 2, 1]


@pytest.mark.parametrize("cut", range(6))
def test_a_run_of_lightnings_class_goes_on_with_this_one(make_trainer: MakeTrainer, tmp_path: Path, cut: int) -> None:
    unbroken = StockEarlyStopping("score", patience=3)
    model = fit(make_trainer, Steps(MIXED), unbroken, each_check(tmp_path))
    resumed = EarlyStopping("score", patience=3)
    again = fit(make_trainer, Steps(MIXED), resumed, ckpt_path=checkpoints(tmp_path)[cut])
    assert again.trained == model.trained[cut + 1 :], "not one epoch more after the stop, as with Lightning's"
    theirs, ours = unbroken.state_dict(), resumed.state_dict()
    del theirs["stopping_reason_message"]  # in other words
    assert {name: ours[name] for name in theirs} == theirs
    assert (resumed.policy_state.stopped_epoch, resumed.policy_state.best) == (5, 2)
    assert resumed.policy_state.reason is StopReason.PATIENCE_EXHAUSTED


def test_a_stopped_run_of_lightnings_class_goes_on_with_more_patience(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    fit(make_trainer, Steps(MIXED), StockEarlyStopping("score", patience=3), each_check(tmp_path))
    resumed = EarlyStopping("score", patience=4)
    assert fit(make_trainer, Steps(MIXED), resumed, ckpt_path=checkpoints(tmp_path)[5]).trained == [6]
    assert resumed.best_score == 1


@pytest.mark.parametrize("cut", range(5))
@pytest.mark.parametrize("restore", [False, True])
def test_a_run_of_this_class_goes_on_with_lightnings(
    make_trainer: MakeTrainer, tmp_path: Path, cut: int, restore: bool
) -> None:
    unbroken = EarlyStopping("score", patience=3, restore_best_weights=restore)
    model = fit(make_trainer, Steps(MIXED), unbroken, each_check(tmp_path))
    resumed = StockEarlyStopping("score", patience=3)
    again = fit(make_trainer, Steps(MIXED), resumed, ckpt_path=checkpoints(tmp_path)[cut])
    assert again.trained == model.trained[cut + 1 :]
    assert (resumed.stopped_epoch, resumed.wait_count, resumed.best_score) == (5, 3, 2)
    assert resumed.stopping_reason is unbroken.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED


@pytest.mark.parametrize(("cut", "restored"), [(1, 2), (3, 5)])
def test_best_weights_that_a_checkpoint_of_lightnings_does_not_hold_are_missed_aloud(
    make_trainer: MakeTrainer, tmp_path: Path, cut: int, restored: int
) -> None:
    """What was the best before the cut is lost; what is better after it is restored; else the last weights stay."""
    values = [3, 4, 2, 2, 2, 2]
    fit(make_trainer, Steps(values), StockEarlyStopping("score", patience=3), each_check(tmp_path))
    resumed = EarlyStopping("score", patience=3, restore_best_weights=True)
    with pytest.warns(
        UserWarning, match="The checkpoint holds no best weights: those of score [23] cannot be restored"
    ):
        again = fit(make_trainer, Steps(values), resumed, ckpt_path=checkpoints(tmp_path)[cut])
    assert again.restored == restored
    assert resumed.best_epoch == (2 if cut == 1 else None)


# the checkpoint


def test_a_checkpoint_with_best_weights_is_plain_data_and_tensors(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """So that a safe load accepts it."""
    fit(make_trainer, Steps([1, 2, 3]), EarlyStopping("score", restore_best_weights=True), each_check(tmp_path))
    for path in checkpoints(tmp_path):
        assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []


def test_the_best_weights_are_not_stored_twice(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """Where the module still has them, the checkpoint holds them once."""
    stopping = EarlyStopping("score", restore_best_weights=True)
    fit(make_trainer, Steps([2, 1, 3]), stopping, each_check(tmp_path))
    states = [torch.load(path, weights_only=True)["callbacks"][stopping.state_key] for path in checkpoints(tmp_path)]
    held = [state["best_weights"]["weights"] for state in states]
    assert held[:2] == [None, None]
    assert held[2]["weight"] == 2, "of the second check"


# the same object again


@each_stop
@pytest.mark.filterwarnings("ignore:No best weights were restored")
def test_an_object_that_is_used_in_a_second_fit_starts_anew(
    make_trainer: MakeTrainer, stopping: dict[str, Any], values: list[float], trained: int
) -> None:
    reused, fresh = (EarlyStopping("score", restore_best_weights=True, **stopping) for _ in range(2))
    fit(make_trainer, Steps([0.6, 0.6, 0.6, 0.6, 0.6]), reused)
    second, only = (fit(make_trainer, Steps(values), callback) for callback in (reused, fresh))
    assert second.trained == only.trained == list(range(trained))
    assert outcome(reused, second) == outcome(fresh, only)


def test_after_a_stop_it_starts_anew_too(make_trainer: MakeTrainer) -> None:
    callback = EarlyStopping("score", patience=1)
    fit(make_trainer, Steps([1, 2, 3]), callback)
    assert callback.policy_state.stopped
    model = fit(make_trainer, Steps([3, 2, 1]), callback)
    assert model.trained == [0, 1, 2]
    assert not callback.policy_state.stopped
    assert (callback.stopping_reason.name, callback.stopping_reason_message) == ("NOT_STOPPED", None)
    assert (callback.stopped_epoch, callback.wait_count, callback.best_score) == (0, 0, 1)


def test_an_object_that_is_used_again_with_a_checkpoint_goes_on_from_it(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    values = [3, 4, 2, 2, 2, 2, 1]
    callback = EarlyStopping("score", patience=3, restore_best_weights=True)
    first = fit(make_trainer, Steps(values), callback, each_check(tmp_path))
    before = outcome(callback, first)
    second = fit(make_trainer, Steps(values), callback, ckpt_path=checkpoints(tmp_path)[3])
    assert second.trained == [4, 5]
    assert outcome(callback, second) == before


def test_a_state_that_was_loaded_by_hand_is_that_of_the_first_fit_only(make_trainer: MakeTrainer) -> None:
    callback, other = EarlyStopping("score", patience=2), EarlyStopping("score", patience=2)
    fit(make_trainer, Steps([0.5, 0.6]), other)
    callback.load_state_dict(other.state_dict())
    assert fit(make_trainer, Steps([0.6, 0.6, 0.6]), callback).trained == [0], "one check was waited before"
    assert fit(make_trainer, Steps([0.6, 0.6, 0.6]), callback).trained == [0, 1, 2], "anew"


# what Lightning does not resume either


class SaveAt(Callback):
    """A user's own callback that saves a checkpoint at a hook."""

    def __init__(self, hook: str, directory: Path) -> None:
        self.directory = directory
        setattr(self, hook, lambda trainer, *_: trainer.save_checkpoint(directory / f"{trainer.global_step}.ckpt"))


# Corners in which both lose: what a checkpoint did not know cannot be resumed. save_last="every_epoch" avoids them.

BOTH = pytest.mark.parametrize("kind", [StockEarlyStopping, EarlyStopping])


@BOTH
def test_a_checkpoint_that_a_users_callback_saves_at_the_end_of_an_epoch_does_not_know_its_check(
    make_trainer: MakeTrainer, tmp_path: Path, kind: type[StockEarlyStopping]
) -> None:
    """Lightning lets other callbacks end the epoch before EarlyStopping and ModelCheckpoint."""
    values = [3, 4, 2, 2, 2, 2]
    unbroken, resumed = (kind("score", patience=3) for _ in range(2))
    fit(make_trainer, Steps(values), unbroken, SaveAt("on_train_epoch_end", tmp_path))
    fit(make_trainer, Steps(values), resumed, ckpt_path=checkpoints(tmp_path)[3])
    assert (unbroken.stopped_epoch, resumed.stopped_epoch) == (5, 0)


@BOTH
def test_a_checkpoint_that_was_saved_after_validation_lacks_the_metric_for_the_end_of_its_epoch(
    make_trainer: MakeTrainer, tmp_path: Path, kind: type[StockEarlyStopping]
) -> None:
    values = [3, 4, 2, 2, 2, 2]
    name = {"filename": "{step}", "auto_insert_metric_name": False}
    saving = ModelCheckpoint(tmp_path, **name, save_top_k=-1, save_on_train_epoch_end=False)
    fit(make_trainer, Steps(values), kind("score", patience=3), saving)
    with pytest.raises(RuntimeError, match="conditioned on metric `score` which is not available"):
        fit(make_trainer, Steps(values), kind("score", patience=3), ckpt_path=checkpoints(tmp_path)[3])
