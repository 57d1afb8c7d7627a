"""How a training ended: the reason, in the words of the record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from keepbest.callbacks.early_stopping import EarlyStopping
from keepbest.callbacks.lightning_state import FROM_LIGHTNING
from keepbest.records.run_record import PolicyBest, RunStatus, Stopping
from keepbest.stopping.reasons import StopReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch import Callback, Trainer
    from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping

    from keepbest.callbacks.history import Check
    from keepbest.stopping.policy import PolicyState
    from keepbest.training.session import Session


def watched(session: Session) -> PolicyState | None:
    """Return what the stopping policy has seen; None when early stopping is off.

    keepbest's callback holds it. Another EarlyStopping decides by itself: its policy is shown the recorded checks.
    """
    stopper = session.trainer.early_stopping_callback
    if isinstance(stopper, EarlyStopping):
        return stopper.policy_state
    if session.policy is None:
        return None
    state = session.policy.start()
    for check in session.history.checks:
        state.update(check.value, check.epoch)
    return state


def describe_stop(session: Session) -> Stopping:
    """Return the record's account of the stop."""
    trainer, checks, state = session.trainer, session.history.checks, watched(session)
    early_stopping = trainer.early_stopping_callback
    reason = _reason(trainer, early_stopping)
    stopper = early_stopping if reason and reason.is_early else None
    return Stopping(
        policy=state.policy.as_dict() if state else None,
        # not Lightning's stopped_epoch: before min_epochs that is where the stop was first asked for
        stopped_epoch=checks[-1].epoch if stopper and checks else None,
        checks=len(checks),
        reason=reason.value if reason else None,
        message=stopper.stopping_reason_message if stopper else None,
    )


def describe_policy_best(session: Session) -> PolicyBest | None:
    """Return the last value that the policy accepted, if there is a policy and it accepted one."""
    return policy_best_of(watched(session))


def policy_best_of(state: PolicyState | None) -> PolicyBest | None:
    """Return the last value that a policy accepted, None without one."""
    if state is None or state.best is None or state.best_epoch is None:
        return None
    return PolicyBest(epoch=state.best_epoch, score=state.best)


def status_of(checks: Sequence[Check], stopping: Stopping | None) -> RunStatus:
    """Return `diverged` when the metric ended on a non-finite value or beyond the divergence threshold."""
    non_finite = bool(checks) and not math.isfinite(checks[-1].value)
    beyond = stopping is not None and stopping.reason == StopReason.DIVERGED.value
    return RunStatus.DIVERGED if non_finite or beyond else RunStatus.COMPLETED


def _reason(trainer: Trainer, early_stopping: LightningEarlyStopping | None) -> StopReason | None:
    by_policy = FROM_LIGHTNING.get(early_stopping.stopping_reason) if early_stopping else None
    return by_policy if by_policy and trainer.should_stop else limit_reached(trainer)


def limit_reached(trainer: Trainer) -> StopReason | None:
    """Return what else than a policy ended a training; None while it goes on."""
    if trainer.max_epochs not in (None, -1) and trainer.current_epoch >= (trainer.max_epochs or 0):
        return StopReason.MAX_EPOCHS
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return StopReason.MAX_STEPS
    if trainer.should_stop:
        return StopReason.MAX_TIME if _time_is_up(trainer) else StopReason.REQUESTED
    return None


def _time_is_up(trainer: Trainer) -> bool:
    from lightning.pytorch.callbacks import Timer

    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector, not in __init__
    left = [callback.time_remaining() for callback in callbacks if isinstance(callback, Timer)]
    return any(seconds is not None and seconds <= 0 for seconds in left)
