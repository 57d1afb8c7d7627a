"""What the processes of one training must agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsFloat

from keepbest.errors import RankError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def require_agreement(trainer: Trainer, monitor: str, value: SupportsFloat | None) -> None:
    """Refuse a metric that has another value on another rank, where each would keep another best.

    Every rank must call this at the same moment; None is the value of a metric that was not logged.

    Raises:
        RankError: on every rank.
    """
    if trainer.world_size == 1:
        return
    own = None if value is None else float(value)
    first = trainer.strategy.broadcast(own)
    if not trainer.strategy.reduce_boolean_decision(repr(own) == repr(first), all=True):  # as texts: NaN equals NaN
        raise RankError(monitor, trainer.global_rank, own)
