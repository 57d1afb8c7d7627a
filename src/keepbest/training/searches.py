"""Callbacks that search for a setting before the first epoch, when a training goes on after it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from keepbest.errors import KeepbestError

if TYPE_CHECKING:
    from lightning.pytorch import Callback

log = logging.getLogger(__name__)


def without_searches(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return the callbacks of a training that goes on from a checkpoint.

    A search would begin anew there, and put the training back to its first epoch. The learning rate that was found is
    in the optimizer's state; a batch size is nowhere.

    Raises:
        KeepbestError: for a search for the batch size.
    """
    from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder

    kept = []
    for callback in callbacks:
        if isinstance(callback, BatchSizeFinder):
            raise KeepbestError(
                "a training with a BatchSizeFinder cannot go on from a checkpoint, which does not hold the batch size "
                "that was found. Train anew with that size in the config, without the callback."
            )
        if isinstance(callback, LearningRateFinder):
            log.info("the learning rate is not searched for again: the optimizer goes on with the one that was found")
        else:
            kept.append(callback)
    return kept
