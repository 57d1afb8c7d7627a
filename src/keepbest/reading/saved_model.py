"""The model of a run: what its config leaves to the training, and the weights that it was given."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from keepbest.errors import IntegrityError

if TYPE_CHECKING:
    from torch import nn


def completed(node: dict[str, Any], learnt: object) -> dict[str, Any]:
    """Return the model's config with what training has learnt from the data in place of null."""
    if not isinstance(learnt, dict):
        return node
    return {name: dict.get(learnt, name) if value is None else value for name, value in node.items()}


def require_data(model: nn.Module) -> None:
    """Refuse a model with a weight of the meta device, which has a shape and no numbers.

    Raises:
        IntegrityError: naming the first.
    """
    for name, weight in chain(model.named_parameters(), model.named_buffers()):
        if weight.is_meta:
            raise IntegrityError(
                f"the best checkpoint must hold the weights of the run's model, {name} has a shape and no numbers. "
                "Take the file from a backup or train again."
            )
