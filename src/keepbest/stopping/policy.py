"""The stopping policy: settings that decide when to stop, and the state that watches one series of values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

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
        _require_count("patience", self.patience, "checks")
        _require_count("start_from_epoch", self.start_from_epoch, "epochs")
        _require_count("min_epochs", self.min_epochs, "epochs")
        _require_number("min_delta", self.min_delta)
        if self.min_delta < 0:
            raise ConfigError(
                "min_delta must not be negative", received=self.min_delta, remedy="Give its size; mode gives its sign"
            )
        for name in ("baseline", "stopping_threshold", "divergence_threshold"):
            if getattr(self, name) is not None:
                _require_number(name, getattr(self, name))
        if not isinstance(self.check_finite, bool):
            raise ConfigError("check_finite must be true or false", received=self.check_finite)
        self._require_thresholds_in_order()

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


class PolicyState:
    """A policy watching one series of values.

    Attributes:
        best: the last value accepted as an improvement by `min_delta`, or None.
        best_epoch: the epoch of `best`, or None.
        wait: checks since the counter last returned to zero.
        checks: values seen, warm-up included.
        stopped_epoch: the epoch at which the policy first said stop, or None.
        reason: why it said so, or None.
    """

    def __init__(self, policy: StoppingPolicy) -> None:
        self.policy = policy
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.wait = 0
        self.checks = 0
        self.stopped_epoch: int | None = None
        self.reason: StopReason | None = None

    def update(self, value: float, epoch: int) -> Decision:
        """Take the value of one check, made in `epoch` (counted from 0), and say what it means.

        The tests come in Lightning's order: non-finite, stopping threshold, divergence threshold, improvement, wait.
        The first three end the check: a value that reaches the threshold does not become `best`.
        """
        self.checks += 1
        if epoch < self.policy.start_from_epoch:
            return Decision(improved=False, stop=False, reason=None)
        improved, reason = self._judge(value, epoch)
        if reason is None or epoch + 1 < self.policy.min_epochs:
            return Decision(improved, stop=False, reason=None)
        if self.stopped_epoch is None:
            self.stopped_epoch, self.reason = epoch, reason
        return Decision(improved, stop=True, reason=reason)

    def _judge(self, value: float, epoch: int) -> tuple[bool, StopReason | None]:
        policy = self.policy
        if policy.check_finite and not math.isfinite(value):
            return False, StopReason.NON_FINITE
        if policy.stopping_threshold is not None and is_better(value, policy.stopping_threshold, policy.mode):
            return False, StopReason.THRESHOLD_REACHED
        if policy.divergence_threshold is not None and is_better(policy.divergence_threshold, value, policy.mode):
            return False, StopReason.DIVERGED
        if is_better(value, self.best, policy.mode, policy.min_delta):
            self._accept(value, epoch)
            return True, None
        self.wait += 1
        return False, StopReason.PATIENCE_EXHAUSTED if self.wait >= policy.patience else None

    def _accept(self, value: float, epoch: int) -> None:
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


_STATE = ("best", "best_epoch", "wait", "checks", "stopped_epoch")
POLICY_SETTINGS = tuple(field.name for field in fields(StoppingPolicy))


def _require_count(name: str, value: object, unit: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{name} must be a whole number of {unit}, at least 0", received=value)


def _require_number(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number", received=value)
