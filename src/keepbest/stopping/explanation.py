"""Why a policy said stop, in a sentence."""

from __future__ import annotations

from keepbest.stopping.policy import PolicyState
from keepbest.stopping.reasons import StopReason


def explain_stop(reason: StopReason, monitor: str, state: PolicyState) -> str:
    """Return the sentence for a decision that a policy has just made.

    Args:
        reason: of the decision.
        monitor: the metric's name.
        state: the policy's, which has seen the check.
    """
    current = float("nan") if state.last is None else state.last
    best = "no best yet" if state.best is None else f"best {state.best:.6g}"
    policy = state.policy
    return {
        StopReason.PATIENCE_EXHAUSTED: f"{monitor} did not improve in {state.wait} checks, {best}",
        StopReason.NON_FINITE: f"{monitor} is not finite: {current}, {best}",
        StopReason.THRESHOLD_REACHED: f"Stopping threshold reached: {monitor} is {current:.6g}, beyond "
        f"{policy.stopping_threshold}",
        StopReason.DIVERGED: f"Divergence threshold reached: {monitor} is {current:.6g}, beyond "
        f"{policy.divergence_threshold}",
    }[reason]
