"""Why a policy said stop, in a sentence."""

from __future__ import annotations

import math

from keepbest.stopping.policy import PolicyState
from keepbest.stopping.reasons import StopReason


def explain_stop(reason: StopReason, monitor: str, state: PolicyState) -> str:
    """Return the sentence for a decision that a policy has just made.

    Args:
        reason: of the decision.
        monitor: the metric's name.
        state: the policy's, which has seen the check.
    """
    current, best = float("nan") if state.last is None else state.last, f"best {_best(state):.6g}"
    policy = state.policy
    return {
        StopReason.PATIENCE_EXHAUSTED: f"{monitor} did not improve in {state.wait} checks, {best}",
        StopReason.NON_FINITE: f"{monitor} is not finite: {current}, {best}",
        StopReason.THRESHOLD_REACHED: f"Stopping threshold reached: {monitor} is {current:.6g}, beyond "
        f"{policy.stopping_threshold}",
        StopReason.DIVERGED: f"Divergence threshold reached: {monitor} is {current:.6g}, beyond "
        f"{policy.divergence_threshold}",
    }[reason]


def _best(state: PolicyState) -> float:
    if state.best is not None:
        return state.best
    return math.inf if state.policy.mode == "min" else -math.inf
