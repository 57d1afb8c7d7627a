"""Data without a single batch, which Lightning skips in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from keepbest.errors import DataError

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

_REMEDY = "Check the data module's split sizes, drop_last with a large batch size, and trainer.limit_*_batches"


class ValidationGuard(Callback):
    """Refuses to train towards an objective that can never be checked: validation has no batch."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look before the first training step."""
        if trainer.enable_validation and trainer.val_dataloaders is None:
            return  # no sanity check, and no validation in the first epoch: Lightning has not looked at the loader yet
        if _watched(trainer) and sum(trainer.num_val_batches) == 0:
            raise DataError(
                "validation has no batches, so there is nothing to stop by and no best to keep: its dataset is empty, "
                f"or val_dataloader, validation_step or limit_val_batches is missing or zero. {_REMEDY}."
            )


@contextmanager
def telling_empty_data() -> Iterator[None]:
    """Say in plain words what torch's sampler means when it is handed an empty dataset."""
    try:
        yield
    except ValueError as error:
        if "num_samples should be a positive integer" in str(error):
            raise DataError(f"the training data is empty: its dataset has no samples. {_REMEDY}.") from error
        raise


def require_checks(trainer: Trainer, checks: int) -> None:
    """Refuse a fit that ended before the objective was ever checked, where something stops or keeps by it.

    Raises:
        DataError: when it was not.
    """
    if not checks and _watched(trainer):
        raise DataError(
            "the training ended before its first validation, so there is no best model. Train longer "
            "(trainer.max_steps, trainer.max_time), or validate earlier (trainer.val_check_interval)."
        )


def _watched(trainer: Trainer) -> bool:
    keepers = [callback for callback in trainer.checkpoint_callbacks if getattr(callback, "monitor", None)]
    return bool(keepers or trainer.early_stopping_callback)


def require_training(trainer: Trainer) -> None:
    """Refuse a fit that ended before its first training step because there was no batch.

    Raises:
        DataError: when the training data has no batches.
    """
    if trainer.limit_train_batches == 0 or trainer.num_training_batches == 0:
        raise DataError(f"the training data has no batches, so nothing was trained. {_REMEDY}.")
