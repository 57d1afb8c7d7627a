"""What a module has logged, and since when."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

Metrics = dict[str, Tensor]


def changed(after: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> Metrics:
    """Return the scalars logged since `before`, a copy of `trainer.callback_metrics`.

    Lightning leaves the tensors of earlier epochs in place, and puts new ones where something was logged again, even
    the same value.
    """
    return {name: value for name, value in after.items() if before.get(name) is not value and value.numel() == 1}
