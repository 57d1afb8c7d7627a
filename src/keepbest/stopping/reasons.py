"""Why a training ended."""

from __future__ import annotations

from enum import Enum


class StopReason(str, Enum):
    """Why a training ended; the value is what `run.json` holds."""

    PATIENCE_EXHAUSTED = "patience_exhausted"
    NON_FINITE = "non_finite"
    THRESHOLD_REACHED = "threshold_reached"
    DIVERGED = "diverged"
    MAX_EPOCHS = "max_epochs"
    MAX_STEPS = "max_steps"
    MAX_TIME = "max_time"
    REQUESTED = "requested"
    """Something else set `trainer.should_stop`: the user's own callback or module."""

    @property
    def is_early(self) -> bool:
        """Whether the stopping policy ended the training, rather than one of the trainer's limits or the user."""
        return self in _BY_POLICY


_BY_POLICY = frozenset(
    {StopReason.PATIENCE_EXHAUSTED, StopReason.NON_FINITE, StopReason.THRESHOLD_REACHED, StopReason.DIVERGED}
)


def in_words(reason: str) -> str:
    """Return a reason as people write it: `patience exhausted` for `patience_exhausted`.

    Args:
        reason: the value of a `StopReason`; another text, as a record may hold it, is shown by the same rule.
    """
    return "not finite" if reason == StopReason.NON_FINITE.value else reason.replace("_", " ")
