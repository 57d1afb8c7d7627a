"""What Lightning's EarlyStopping knows, in the policy's terms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks.early_stopping import EarlyStopping, EarlyStoppingReason

from keepbest.stopping.reasons import StopReason

if TYPE_CHECKING:
    from lightning.pytorch import Trainer
    from torch import Tensor

    from keepbest.stopping.comparison import Mode
    from keepbest.stopping.policy import PolicyState

TO_LIGHTNING = {
    StopReason.PATIENCE_EXHAUSTED: EarlyStoppingReason.PATIENCE_EXHAUSTED,
    StopReason.NON_FINITE: EarlyStoppingReason.NON_FINITE_METRIC,
    StopReason.THRESHOLD_REACHED: EarlyStoppingReason.STOPPING_THRESHOLD,
    StopReason.DIVERGED: EarlyStoppingReason.DIVERGENCE_THRESHOLD,
}
FROM_LIGHTNING = {theirs: ours for ours, theirs in TO_LIGHTNING.items()}


def worst_score(mode: Mode) -> float:
    """Return the infinity that Lightning begins with."""
    return math.inf if mode == "min" else -math.inf


def number_of(best_score: Tensor, mode: Mode) -> float | None:
    """Return a best score as a number; None for the infinity that Lightning begins with."""
    best = float(best_score)
    return None if best == worst_score(mode) else best


def limits_met(trainer: Trainer, completed_epochs: int) -> bool:
    """Return whether the trainer's `min_epochs` and `min_steps` allow a stop."""
    return completed_epochs >= (trainer.min_epochs or 0) and trainer.global_step >= (trainer.min_steps or 0)


def policy_state_of(callback: EarlyStopping) -> dict[str, Any]:
    """Return the state of Lightning's callback as `PolicyState.state_dict` has it; what it does not know is None."""
    stopped = callback.stopping_reason in FROM_LIGHTNING
    return {
        "best": number_of(callback.best_score, cast("Mode", callback.mode)),
        "best_epoch": None,
        "wait": callback.wait_count,
        "checks": 0,
        "last": None,
        "stopped_epoch": callback.stopped_epoch if stopped else None,
        "reason": FROM_LIGHTNING[callback.stopping_reason].value if stopped else None,
    }


def state_of_stopped(state: PolicyState, message: str | None) -> dict[str, Any]:
    """Return what keepbest's callback saves once its policy has said stop, made from what the policy has seen.

    Args:
        state: the policy's; it has stopped.
        message: why, in a sentence.
    """
    assert state.reason is not None
    best = worst_score(state.policy.mode) if state.best is None else state.best
    return {
        "wait_count": state.wait,
        "stopped_epoch": state.stopped_epoch,
        "best_score": torch.tensor(best, dtype=torch.float64),
        "patience": state.policy.patience,
        "stopping_reason": TO_LIGHTNING[state.reason].value,
        "stopping_reason_message": message,
        "policy_state": state.state_dict(),
    }
