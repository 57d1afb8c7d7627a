"""Data without a single batch is told in plain words, before anything is trained on the strength of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from keepbest.errors import DataError
from keepbest.guards.batches import ValidationGuard, require_training, telling_empty_data

Make = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore::UserWarning", "ignore:.*LeafSpec"
)
REFUSED = "validation has no batches, so there is nothing to stop by and no best to keep"


def without_validation(module: Any) -> Any:
    """Take away a module's validation, as if it had never had any."""
    return type("Without", (type(module),), {
        "val_dataloader": LightningModule.val_dataloader, "validation_step": LightningModule.validation_step,
    })()  # fmt: skip


# sizes and settings of the module, settings of the trainer
EMPTY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an empty dataset": ({"val": 0}, {}),
    "fewer samples than a batch, drop_last": ({"val": 3, "drop_last": True}, {}),
    "limit_val_batches": ({}, {"limit_val_batches": 0}),
    "an empty dataset, no sanity check": ({"val": 0}, {"num_sanity_val_steps": 0}),
    "an empty dataset, sparse validation": ({"val": 0}, {"check_val_every_n_epoch": 2}),
}


@pytest.mark.parametrize(("data", "settings"), EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("keeps", [True, False], ids=["keeps the best", "stops early"])
def test_validation_without_a_batch_is_refused_before_the_first_step(
    counting: Make, make_trainer: Make, tmp_path: Path, data: dict[str, Any], settings: dict[str, Any], keeps: bool
) -> None:
    reader = ModelCheckpoint(tmp_path, monitor="val_loss") if keeps else EarlyStopping("val_loss")
    module = counting(**data)
    with pytest.raises(DataError, match=f"^{REFUSED}: .* Check the data module's split sizes"):
        make_trainer(ValidationGuard(), reader, enable_checkpointing=keeps, **settings).fit(module)
    assert module.steps == 0


def test_a_module_without_validation_is_refused_too(counting: Make, make_trainer: Make) -> None:
    module = without_validation(counting())
    with pytest.raises(DataError, match=REFUSED):
        make_trainer(ValidationGuard(), EarlyStopping("val_loss")).fit(module)
    assert module.steps == 0


def test_who_neither_stops_nor_keeps_by_a_metric_needs_no_validation(
    counting: Make, make_trainer: Make, tmp_path: Path
) -> None:
    module = without_validation(counting())
    make_trainer(ValidationGuard(), ModelCheckpoint(tmp_path), enable_checkpointing=True).fit(module)
    assert module.steps == 8


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_sanity_val_steps": 0},
        {"check_val_every_n_epoch": 2},
        {"val_check_interval": 0.5},
        {"num_sanity_val_steps": 0, "check_val_every_n_epoch": 2},  # Lightning has not looked at the loader by then
    ],
    ids=str,
)
def test_a_validation_with_batches_passes(counting: Make, make_trainer: Make, settings: dict[str, Any]) -> None:
    module = counting()
    make_trainer(ValidationGuard(), EarlyStopping("val_loss", patience=9), **settings).fit(module)
    assert module.steps == 8


def test_an_empty_training_set_is_told_in_plain_words(counting: Make, make_trainer: Make) -> None:
    told = r"^the training data is empty: its dataset has no samples\. Check the data"
    with pytest.raises(DataError, match=told), telling_empty_data():
        make_trainer().fit(counting(train=0))


def test_another_error_passes_as_it_is() -> None:
    with pytest.raises(ValueError, match=r"^something else$"), telling_empty_data():
        raise ValueError("something else")


def test_a_fit_without_a_training_batch_is_refused(counting: Make, make_trainer: Make) -> None:
    """drop_last with a large batch size: Lightning skips the training in silence."""
    trainer, module = make_trainer(), counting(train=3, drop_last=True)
    trainer.fit(module)
    assert module.steps == 0
    with pytest.raises(DataError, match=r"^the training data has no batches, so nothing was trained\. Check the data"):
        require_training(trainer)


def test_a_fit_with_training_batches_passes(counting: Make, make_trainer: Make) -> None:
    trainer, module = make_trainer(max_epochs=1), counting()
    trainer.fit(module)
    require_training(trainer)
    assert module.steps > 0
