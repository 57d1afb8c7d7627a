"""The history of a training holds what was logged: every check once, nothing stale, nothing from elsewhere.

Real trainings of a few steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from keepbest.callbacks.history import Check, History

Make = Callable[..., Any]
Rows = Callable[..., list[dict[str, str]]]

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")

NAN, INF = math.nan, math.inf


def checks_of(history: History) -> list[tuple[int, int, float]]:
    return [tuple(check) for check in history.checks]


def test_a_validation_at_the_end_of_each_epoch_gives_a_row_each(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    history = make_history()
    make_trainer(history).fit(scripted([3, 1, 2]))
    assert checks_of(history) == [(0, 4, 3.0), (1, 8, 1.0), (2, 12, 2.0)]
    found = rows("epoch", "step", "score", "nth", "wrapped_up")
    assert found == [
        {"epoch": "0", "step": "4", "score": "3.0", "nth": "0.0", "wrapped_up": "0.0"},
        {"epoch": "1", "step": "8", "score": "1.0", "nth": "1.0", "wrapped_up": "1.0"},
        {"epoch": "2", "step": "12", "score": "2.0", "nth": "2.0", "wrapped_up": "2.0"},
    ]


def test_training_metrics_stand_in_the_row_of_their_epoch(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    """Each epoch's own value, as the trainer shows it to whoever looks when the epoch has ended."""

    class Witness(Callback):
        seen: list[float] = []

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.seen.append(trainer.callback_metrics["loss_epoch"].item())

    witness = Witness()
    make_trainer(make_history(), witness).fit(scripted([1]))
    found = [float(row["loss_epoch"]) for row in rows()]
    assert found == witness.seen
    assert len(set(found)) == 3


def test_sparse_validation_leaves_no_stale_value_in_between(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    history = make_history()
    make_trainer(history, max_epochs=4, check_val_every_n_epoch=2).fit(scripted([3, 1]))
    assert checks_of(history) == [(1, 8, 3.0), (3, 16, 1.0)]
    assert rows("epoch", "score", "nth", "wrapped_up") == [
        {"epoch": "0", "wrapped_up": "0.0"},
        {"epoch": "1", "score": "3.0", "nth": "0.0", "wrapped_up": "1.0"},
        {"epoch": "2", "wrapped_up": "2.0"},
        {"epoch": "3", "score": "1.0", "nth": "1.0", "wrapped_up": "3.0"},
    ]


class Reads(Callback):
    """Reads the trainer's metrics at every hook, as user's callbacks may: each reading makes new tensors of them."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("on_") or name.endswith("_checkpoint"):
            return found

        def hook(trainer: Trainer, *rest: Any, **more: Any) -> Any:
            dict(trainer.callback_metrics)
            return found(trainer, *rest, **more)

        return hook


def with_readers(history: History, folder: Path) -> list[Callback]:
    stock = [EarlyStopping("score", patience=9, strict=False), ModelCheckpoint(folder)]
    return [Reads(), history, Reads(), *stock]


def test_sparse_validation_with_others_who_read_the_metrics(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows, tmp_path: Path
) -> None:
    settings = {"max_epochs": 3, "check_val_every_n_epoch": 2, "enable_checkpointing": True}
    make_trainer(*with_readers(make_history(), tmp_path), **settings).fit(scripted([3]))
    assert [("score" in row, "nth" in row) for row in rows()] == [(False, False), (True, True), (False, False)]


def test_two_validations_an_epoch_are_two_rows(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    history = make_history()
    make_trainer(history, max_epochs=2, val_check_interval=0.5).fit(scripted([4, 3, 2, 1]))
    assert checks_of(history) == [(0, 2, 4.0), (0, 4, 3.0), (1, 6, 2.0), (1, 8, 1.0)]
    assert rows("epoch", "step", "score", "nth", "wrapped_up") == [
        {"epoch": "0", "step": "2", "score": "4.0", "nth": "0.0"},
        {"epoch": "0", "step": "4", "score": "3.0", "nth": "1.0", "wrapped_up": "0.0"},
        {"epoch": "1", "step": "6", "score": "2.0", "nth": "2.0"},
        {"epoch": "1", "step": "8", "score": "1.0", "nth": "3.0", "wrapped_up": "1.0"},
    ]
    assert ["loss_epoch" in row for row in rows()] == [False, True, False, True]


def test_an_epoch_that_ends_between_validations_has_a_row_of_its_own(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    make_trainer(make_history(), max_epochs=2, val_check_interval=3).fit(scripted([2, 1]))
    assert rows("epoch", "step", "score", "wrapped_up") == [
        {"epoch": "0", "step": "3", "score": "2.0"},
        {"epoch": "0", "step": "4", "wrapped_up": "0.0"},
        {"epoch": "1", "step": "7", "score": "1.0"},
        {"epoch": "1", "step": "8", "wrapped_up": "1.0"},
    ]


def test_steps_are_the_optimizers(scripted: Make, make_trainer: Make, make_history: Make) -> None:
    history = make_history()
    make_trainer(history, accumulate_grad_batches=2).fit(scripted([1]))
    assert [check.step for check in history.checks] == [2, 4, 6]


@pytest.mark.parametrize("readers", [False, True], ids=["alone", "with others who read the metrics"])
def test_a_value_that_a_validation_did_not_log_is_not_taken_again(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows, tmp_path: Path, readers: bool
) -> None:
    class Every2nd(scripted):
        def on_validation_epoch_end(self) -> None:
            self.validations += not self.trainer.sanity_checking
            if self.validations % 2:
                self.log("score", 5.0)

    history = make_history()
    callbacks = with_readers(history, tmp_path) if readers else [history]
    make_trainer(*callbacks, enable_checkpointing=readers).fit(Every2nd([]))
    assert [check.epoch for check in history.checks] == [0, 2]
    assert ["score" in row for row in rows()] == [True, False, True]


def test_sanity_check_validate_and_test_leave_no_rows(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    history = make_history()
    trainer, module = make_trainer(history, num_sanity_val_steps=2), scripted([3, 1, 2, 0])
    trainer.fit(module)
    before = rows()
    assert len(before) == 3
    assert min(check.value for check in history.checks) == 1.0
    trainer.validate(module, verbose=False)
    trainer.test(module, verbose=False)
    assert rows() == before
    assert history.best == Check(1, 8, 1.0)
    assert len(history.checks) == 3


# scores of three epochs, mode, epoch of the best
BEST: dict[str, tuple[list[float], str, int | None]] = {
    "lowest": ([3, 1, 2], "min", 1),
    "highest": ([1, 3, 2], "max", 1),
    "the first of equals": ([2, 1, 1], "min", 1),
    "the first of equals, highest": ([3, 3, 1], "max", 0),
    "NaN first": ([NAN, 2, 3], "min", 1),
    "NaN last": ([3, 2, NAN], "min", 1),
    "all NaN": ([NAN, NAN, NAN], "min", None),
    "inf": ([INF, INF, 3], "min", 2),
    "without min_delta": ([1.0, 0.9999, 0.9998], "min", 2),
}


@pytest.mark.parametrize(("scores", "mode", "epoch"), BEST.values(), ids=BEST)
def test_the_best_is_the_first_strict_optimum(
    scripted: Make, make_trainer: Make, make_history: Make, scores: list[float], mode: str, epoch: int | None
) -> None:
    history = make_history(mode)
    make_trainer(history).fit(scripted(scores))
    assert (history.best.epoch if history.best else None) == epoch


def test_the_best_is_what_lightnings_checkpoint_keeps(
    scripted: Make, make_trainer: Make, make_history: Make, tmp_path: Path
) -> None:
    history = make_history()
    keeper = ModelCheckpoint(tmp_path, monitor="score", filename="{epoch}")
    make_trainer(history, keeper, enable_checkpointing=True, max_epochs=5).fit(scripted([3, 1, 2, 1, 1.5]))
    assert history.best is not None
    assert history.best.value == keeper.best_model_score.item()
    assert Path(keeper.best_model_path).name == f"epoch={history.best.epoch}.ckpt"


def test_checks_hold_the_bits_that_were_logged(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    """A metric is float32; it is kept and written as exactly that number."""
    scores = [1 / 3, 0.1, 1e-30]
    history = make_history()
    make_trainer(history).fit(scripted(scores))
    single = torch.tensor(scores).tolist()
    assert [check.value for check in history.checks] == single
    assert [float(row["score"]) for row in rows()] == single


def test_double_precision_is_kept_and_compared_as_such(scripted: Make, make_trainer: Make, make_history: Make) -> None:
    class Double(scripted):
        def on_validation_epoch_end(self) -> None:
            self.log("score", torch.tensor(1.0 - 1e-9 * (self.current_epoch == 1), dtype=torch.float64))

    history = make_history()
    make_trainer(history).fit(Double([]))
    assert history.best is not None
    assert (history.best.epoch, history.best.value) == (1, 1.0 - 1e-9)


def test_the_best_by_min_delta_is_the_last_that_was_accepted(
    scripted: Make, make_trainer: Make, make_history: Make
) -> None:
    history = make_history()
    make_trainer(history, max_epochs=4).fit(scripted([3, 2, 1.75, 1.625]))
    assert [history.best_by(delta).epoch for delta in (0.0, 0.125, 0.25, 0.375, 2.0)] == [3, 2, 3, 1, 0]


def test_a_metric_that_only_training_logs_is_checked_at_the_end_of_the_epoch(
    scripted: Make, make_trainer: Make, make_history: Make
) -> None:
    class Trained(scripted):
        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            loss = super().training_step(batch, batch_idx)
            self.log("fit", float(self.current_epoch), on_epoch=True)
            return loss

    history = make_history(monitor="fit")
    make_trainer(history).fit(Trained([3, 2, 1]))
    assert [(check.epoch, check.value) for check in history.checks] == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_a_training_that_dies_leaves_its_open_row(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    class Dies(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            if trainer.current_epoch == 2:
                raise RuntimeError("the lights went out")

    with pytest.raises(RuntimeError, match="the lights went out"):
        make_trainer(make_history(), Dies()).fit(scripted([3, 1, 2]))
    assert rows("epoch", "score", "wrapped_up") == [
        {"epoch": "0", "score": "3.0", "wrapped_up": "0.0"},
        {"epoch": "1", "score": "1.0", "wrapped_up": "1.0"},
    ]


def test_a_validation_whose_epoch_is_broken_off_keeps_its_row(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    class Dies(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            raise RuntimeError("the lights went out")

    with pytest.raises(RuntimeError, match="the lights went out"):
        make_trainer(Dies(), make_history()).fit(scripted([3]))
    assert rows("epoch", "score") == [{"epoch": "0", "score": "3.0"}]


def test_a_limit_in_steps_in_the_middle_of_an_epoch(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    history = make_history()
    make_trainer(history, max_epochs=-1, max_steps=6).fit(scripted([3, 1]))
    assert [row["step"] for row in rows("step")] == ["4", "6"]
    assert history.checks[0].step == 4


def test_without_a_path_nothing_is_written(
    scripted: Make, make_trainer: Make, make_history: Make, table_file: Path
) -> None:
    """As on every rank but the first."""
    history = History(None, make_history().objective)
    make_trainer(history).fit(scripted([3, 1, 2]))
    assert not table_file.exists()
    assert len(history.checks) == 3


def test_a_metric_with_several_values_is_passed_over(
    scripted: Make, make_trainer: Make, make_history: Make, rows: Rows
) -> None:
    """A user's callback may put such a tensor there; `self.log` refuses it."""

    class PutsVector(Callback):
        def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            trainer.callback_metrics["confusion"] = torch.ones(2, 2)

    make_trainer(PutsVector(), make_history()).fit(scripted([1]))
    assert all("confusion" not in row for row in rows())
