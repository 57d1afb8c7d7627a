"""Data without a single batch, which Lightning skips in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from keepbest.errors import DataError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

_REMEDY = "Check the data module's split sizes, drop_last with a large batch size, and trainer.limit_*_batches"


@contextmanager
def telling_empty_data() -> Iterator[None]:
    """Say in plain words what torch's sampler means when it is handed an empty dataset."""
    try:
        yield
    except ValueError as error:
        if "num_samples should be a positive integer" in str(error):
            raise DataError(f"the training data is empty: its dataset has no samples. {_REMEDY}.") from error
        raise


def require_checks(trainer: Trainer, checks: int, *, wanted: bool) -> None:
    """Refuse a fit that ended without ever evaluating the objective.

    Args:
        trainer: after its fit.
        checks: evaluations of the objective that were seen.
        wanted: whether anything depends on them, such as a callback that keeps the best.

    Raises:
        DataError: when the training data, or the validation data, had no batch.
    """
    if trainer.num_training_batches == 0:
        raise DataError(f"the training data has no batches, so nothing was trained. {_REMEDY}.")
    if wanted and not checks:
        raise DataError(f"validation never ran, so there is no best model to keep. {_REMEDY}.")
