"""Training and validation data must not overlap, or the best score is a memory of the training."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from keepbest.errors import ConfigError, DataError
from keepbest.guards.dataset_parts import Source, sources_of
from keepbest.guards.identical_samples import Comparison, identical_samples, readable
from keepbest.guards.shared_samples import percent, shared_samples

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

log = logging.getLogger(__name__)

_REMEDY = "Give validation samples of its own, for instance with torch.utils.data.random_split"


class OverlapGuard(Callback):
    """Looks before the first training step whether validation samples are training samples too.

    Two looks. The first takes apart what the loaders draw from: subsets, concatenations and samplers of the same
    dataset object. What it finds is an error; only a warning where another validation loader is free of it, because
    the training data is often validated on beside the validation data. The second reads samples and compares them bit
    for bit; what it finds is a warning. What cannot be looked at is skipped: streams, foreign loaders, unknown
    samplers on a shared dataset, samples of unknown types. Neither look changes a random number of the training.

    With `trainer.overfit_batches` nothing is looked at.

    Args:
        max_seconds: how long to read samples, at most; validation gets up to half of it. A sample or a worker process
            that has been started is waited for.
        max_samples: how many samples of each side to read, at most. Where either limit bites, a fixed pseudo-random
            choice is compared, and a line says so.

    Raises:
        ConfigError: an argument that cannot work.
        DataError: when the training starts, if the same samples are drawn for training and for validation.
    """

    def __init__(self, max_seconds: float = 2.0, max_samples: int = 200_000) -> None:
        if isinstance(max_seconds, bool) or not isinstance(max_seconds, (int, float)) or not 0 < max_seconds < math.inf:
            raise ConfigError("max_seconds must be a number of seconds above 0", received=max_seconds)
        if isinstance(max_samples, bool) or not isinstance(max_samples, int) or max_samples < 1:
            raise ConfigError("max_samples must be a whole number of samples, at least 1", received=max_samples)
        self.max_seconds, self.max_samples = max_seconds, max_samples

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at both loaders, which Lightning has made by now."""
        overfit_batches: float = trainer.overfit_batches  # type: ignore[attr-defined]  # set by a function of Lightning's
        if overfit_batches > 0 or not trainer.enable_validation:
            return
        train = [source for source in sources_of(trainer.train_dataloader) if source]
        val = sources_of(trainer.val_dataloaders)
        shared = [shared_samples(source, train) if source else None for source in val]
        _tell_shared(shared, is_global_zero=trainer.is_global_zero)
        if trainer.is_global_zero:
            others = [source for source, told in zip(val, shared, strict=True) if source and not told]
            self._compare(readable(train, others), readable(others, train))

    def _compare(self, train: list[Source], val: list[Source]) -> None:
        if not train or not val:
            return
        try:
            found = identical_samples(val, train, self.max_seconds, self.max_samples)
        except Exception as error:  # noqa: BLE001 - a dataset may raise anything; the training will show it
            log.debug("training and validation samples are not compared: %s: %s", type(error).__name__, error)
            return
        self._tell_identical(found)

    def _tell_identical(self, found: Comparison) -> None:
        count, val, train = found.shared, found.of, found.among
        if count:
            log.warning(
                "%d of %d validation samples (%s) are identical to training samples; on these the score is that of "
                "the training. Remove duplicates before splitting.",
                count, len(val.digests), percent(count, len(val.digests)),
            )  # fmt: skip
        if not found.is_complete:
            log.info(
                "looking for validation samples in the training data compared %d of %d validation samples with %d of "
                "%d training samples, a fixed pseudo-random choice (max_seconds=%g, max_samples=%d).",
                len(val.digests), val.total, len(train.digests), train.total, self.max_seconds, self.max_samples,
            )  # fmt: skip


def _tell_shared(shared: list[str | None], *, is_global_zero: bool) -> None:
    """Raise where each validation loader shares samples with the training, warn where some do."""
    found = {number: what for number, what in enumerate(shared) if what}
    if found and len(found) == len(shared):
        raise DataError(f"training and validation data must not overlap, got {found[0]}. {_REMEDY}.")
    for number, what in found.items():
        if is_global_zero:
            log.warning(
                "training and validation data overlap in one of %d validation loaders (dataloader_idx %d), got %s. "
                "Do not stop or keep by its metrics.", len(shared), number, what,
            )  # fmt: skip
