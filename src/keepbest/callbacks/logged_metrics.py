"""What a module has logged, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

Metrics = dict[str, Tensor]


def changed(after: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> Metrics:
    """Return the scalars logged since `before`, a copy of `trainer.callback_metrics`.

    Lightning leaves the tensors of earlier epochs in place, and puts new ones where something was logged again, even
    the same value.
    """
    return {name: value for name, value in after.items() if before.get(name) is not value and value.numel() == 1}


def logged_in_training_step(trainer: Trainer, name: str, *, by_epoch: bool = False) -> bool:
    """Return whether a metric was logged in this epoch before its end: by the training step, or a hook around it.

    Such a value is older than the weights: it was computed before the optimizer's last step.

    Args:
        trainer: a trainer that fits.
        name: the metric.
        by_epoch: count only what is added up over the epoch, and so takes the place of validation's value at its end.
    """
    # the one place that knows which hook logged what; private, but Lightning's version is pinned
    metrics = trainer.fit_loop.epoch_loop._results.result_metrics
    return any(
        name in (metric.meta.name, f"{metric.meta.name}_step", f"{metric.meta.name}_epoch")
        for metric in metrics
        if metric.meta.fx != "on_train_epoch_end" and (metric.meta.on_epoch or not by_epoch)
    )
