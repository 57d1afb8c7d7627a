"""The stopping policy: settings that decide when to stop, and the state that watches one series of values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, SupportsFloat

import numpy as np

from keepbest.errors import ConfigError
from keepbest.stopping.comparison import MODES, Mode, is_better
from keepbest.stopping.reasons import StopReason


class Decision(NamedTuple):
    """What one check means: a new best by `min_delta`, a stop, and the reason of the stop."""

    improved: bool
    stop: bool
    reason: StopReason | None


@dataclass(frozen=True)
class StoppingPolicy:
    """When to stop, as a pure value: no trainer, no tensors.

    Shared settings mean what they mean in `lightning.pytorch.callbacks.EarlyStopping`, `baseline` and
    `start_from_epoch` what they mean in `keras.callbacks.EarlyStopping`. Differences, each deliberate:

    * A reason to stop found before `min_epochs` is not remembered: the decision is made anew at every check, and
      counts from the check that completes epoch number `min_epochs` on. (Lightning latches it and stops there even
      when the metric has recovered.)
    * A NaN first value is never a best. (Keras keeps the weights of its first epoch.)
    * Keras's special case for epoch 0 (patience is not tested there) is not copied.

    Settings are checked when the policy is made: NumPy's numbers become Python's, and what cannot work is refused.

    Args:
        mode: "min" when lower values are better, "max" when higher ones are.
        patience: checks (not epochs) without improvement after which to stop; 0 behaves as 1.
        min_delta: how much better than the best a value must be, in the metric's units, to count as an improvement.
        baseline: the patience counter returns to zero only on improvements that are also better than this.
        start_from_epoch: checks of epochs (counted from 0) before this one are not looked at.
        stopping_threshold: stop as soon as a value is better than this.
        divergence_threshold: stop as soon as a value is worse than this.
        check_finite: stop as soon as a value is NaN or infinite.
        min_epochs: epochs to complete before any stop.

    Raises:
        ConfigError: for a setting of the wrong type or out of range.
    """

    mode: Mode = "min"
    patience: int = 3
    min_delta: float = 0.0
    baseline: float | None = None
    start_from_epoch: int = 0
    stopping_threshold: float | None = None
    divergence_threshold: float | None = None
    check_finite: bool = True
    min_epochs: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError("mode must be 'min' or 'max'", received=self.mode)
        for name, unit in {"patience": "checks", "start_from_epoch": "epochs", "min_epochs": "epochs"}.items():
            self._set(name, _count(name, getattr(self, name), unit))
        self._set("min_delta", _size("min_delta", self.min_delta))
        for name in ("baseline", "stopping_threshold", "divergence_threshold"):
            if getattr(self, name) is not None:
                self._set(name, _number(name, getattr(self, name)))
        if not isinstance(self.check_finite, bool):
            raise ConfigError("check_finite must be true or false", received=self.check_finite)
        self._require_thresholds_in_order()

    def _set(self, name: str, value: float) -> None:
        object.__setattr__(self, name, value)  # the way into a frozen dataclass

    def _require_thresholds_in_order(self) -> None:
        good, bad = self.stopping_threshold, self.divergence_threshold
        if good is not None and bad is not None and not is_better(good, bad, self.mode):
            side = "below" if self.mode == "min" else "above"
            raise ConfigError(
                f"stopping_threshold must lie {side} divergence_threshold in mode {self.mode!r}",
                received=f"stopping_threshold={good}, divergence_threshold={bad}",
            )

    def start(self) -> PolicyState:
        """Return the state of a policy that has not seen a value yet."""
        return PolicyState(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain data, in the order of the signature."""
        return asdict(self)

    def looks_for(self, reason: StopReason) -> bool:
        """Return whether the settings can stop for a reason at all."""
        return {
            StopReason.NON_FINITE: self.check_finite,
            StopReason.THRESHOLD_REACHED: self.stopping_threshold is not None,
            StopReason.DIVERGED: self.divergence_threshold is not None,
        }.get(reason, True)


@dataclass
class PolicyState:
    """A policy watching one series of values.

    Attributes:
        policy: the settings; others may take their place while it watches.
        best: the last value accepted as an improvement by `min_delta`, or None.
        best_epoch: the epoch of `best`, or None.
        wait: checks since the counter last returned to zero.
        checks: values seen, warm-up included.
        last: the value of the latest check, or None.
        stopped_epoch: the epoch at which the policy first said stop, or None.
        reason: why it said so, or None.
    """

    policy: StoppingPolicy
    best: float | None = None
    best_epoch: int | None = None
    wait: int = 0
    checks: int = 0
    last: float | None = None
    stopped_epoch: int | None = None
    reason: StopReason | None = None

    @property
    def stopped(self) -> bool:
        """Whether the policy has said stop."""
        return self.reason is not None

    def update(self, value: SupportsFloat, epoch: int, *, may_stop: bool = True) -> Decision:
        """Take the value of one check, made in `epoch` (counted from 0), and say what it means.

        The tests come in Lightning's order: non-finite, stopping threshold, divergence threshold, improvement, wait.
        The first three end the check: a value that reaches the threshold does not become `best`.

        Args:
            value: compared in its own precision, see `is_better`.
            epoch: where the check was made. It is taken to complete the epoch.
            may_stop: False where something else forbids a stop at this check: a number of steps that must come first,
                or an epoch required by `min_epochs` that is still going on. A reason to stop is not remembered then.
        """
        self.last = float(value)
        self.checks += 1
        if epoch < self.policy.start_from_epoch:
            return Decision(improved=False, stop=False, reason=None)
        improved, reason = self._judge(value, epoch)
        if reason is None or not may_stop or epoch + 1 < self.policy.min_epochs:
            return Decision(improved, stop=False, reason=None)
        if not self.stopped:
            self.stopped_epoch, self.reason = epoch, reason
        return Decision(improved, stop=True, reason=reason)

    def still_stopped(self) -> bool:
        """Whether a stop said earlier still stands under the settings of now, which may be others than those of then.

        It asks of the latest check what its outcome would be today. What was waited stays what was waited.
        """
        if self.reason is StopReason.PATIENCE_EXHAUSTED:
            return self.wait >= self.policy.patience
        if self.reason is not None and self.last is None:  # Lightning's class saves no value: is it still looked for?
            return self.policy.looks_for(self.reason)
        return self.reason is not None and self.last is not None and self._reason_at_once(self.last) is not None

    def forget_stop(self) -> None:
        """Go on as if stop had not been said; what was waited stays what was waited."""
        self.stopped_epoch = self.reason = None

    def _judge(self, value: SupportsFloat, epoch: int) -> tuple[bool, StopReason | None]:
        at_once = self._reason_at_once(value)
        if at_once:
            return False, at_once
        if is_better(value, self.best, self.policy.mode, self.policy.min_delta):
            self._accept(value, epoch)
            return True, None
        self.wait += 1
        return False, StopReason.PATIENCE_EXHAUSTED if self.wait >= self.policy.patience else None

    def _reason_at_once(self, value: SupportsFloat) -> StopReason | None:
        """Return the reason to stop that lies in the value alone, whatever came before it."""
        policy = self.policy
        if policy.check_finite and not math.isfinite(value):
            return StopReason.NON_FINITE
        if policy.stopping_threshold is not None and is_better(value, policy.stopping_threshold, policy.mode):
            return StopReason.THRESHOLD_REACHED
        if policy.divergence_threshold is not None and _is_worse(value, policy.divergence_threshold, policy.mode):
            return StopReason.DIVERGED
        return None

    def _accept(self, value: SupportsFloat, epoch: int) -> None:
        self.best, self.best_epoch = float(value), epoch
        baseline = self.policy.baseline
        beats_baseline = baseline is None or is_better(value, baseline, self.policy.mode, self.policy.min_delta)
        self.wait = 0 if beats_baseline else self.wait + 1

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs, as plain data. The settings are not part of it."""
        state = {name: getattr(self, name) for name in _STATE}
        return state | {"reason": self.reason.value if self.reason else None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        for name in _STATE:
            setattr(self, name, state[name])
        self.reason = StopReason(state["reason"]) if state["reason"] else None


_STATE = ("best", "best_epoch", "wait", "checks", "last", "stopped_epoch")
POLICY_SETTINGS = tuple(field.name for field in fields(StoppingPolicy))


def _is_worse(value: SupportsFloat, threshold: float, mode: Mode) -> bool:
    """Return whether the value lies beyond the threshold: better, were the direction the opposite one."""
    return is_better(value, threshold, "max" if mode == "min" else "min")


def _count(name: str, value: object, unit: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ConfigError(f"{name} must be a whole number of {unit}, at least 0", received=value)
    return int(value)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number", received=value)
    return value if isinstance(value, int) else float(value)


def _size(name: str, value: object) -> float:
    number = _number(name, value)
    if number < 0:
        raise ConfigError(f"{name} must not be negative", received=value, remedy="Give its size; mode gives its sign")
    return number
