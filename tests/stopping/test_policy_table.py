"""The stopping policy in tables: settings and values in; the epoch, the reason and the best out."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from keepbest.stopping.policy import PolicyState, StoppingPolicy
from keepbest.stopping.reasons import StopReason

INF, NAN = math.inf, math.nan
PATIENCE, NON_FINITE = StopReason.PATIENCE_EXHAUSTED, StopReason.NON_FINITE
THRESHOLD, DIVERGED = StopReason.THRESHOLD_REACHED, StopReason.DIVERGED
# numbers of float32, as metrics are; those beside a half differ from it also after another half was added
BELOW_HALF, ABOVE_HALF, NINE_TENTHS = (float(np.float32(number)) for number in (0.4999999, 0.50000006, 0.9))


class Outcome(NamedTuple):
    """Where a policy stops and why, and the epoch of the value that it accepted last."""

    stopped_epoch: int | None
    best_epoch: int | None
    reason: StopReason | None


def watch(policy: StoppingPolicy, values: list[float], epochs: list[int] | None = None) -> Outcome:
    """Hand values to a policy until it says stop, one per epoch unless the epochs are given."""
    state = policy.start()
    for epoch, value in zip(epochs or range(len(values)), values, strict=True):
        if state.update(value, epoch).stop:
            break
    return Outcome(state.stopped_epoch, state.best_epoch, state.reason)


def mirrored(settings: dict[str, Any]) -> dict[str, Any]:
    signed = ("baseline", "stopping_threshold", "divergence_threshold")
    return {name: -value if name in signed else value for name, value in settings.items()}


# settings, values (lower is better), epoch of the stop, epoch of the best, reason
TABLE: dict[str, tuple[dict[str, Any], list[float], int | None, int | None, StopReason | None]] = {
    # patience
    "improves to the end": ({"patience": 1}, [3, 2, 1], None, 2, None),
    "patience 1": ({"patience": 1}, [2, 3, 1], 1, 0, PATIENCE),
    "patience 0 is 1": ({"patience": 0}, [2, 3, 1], 1, 0, PATIENCE),
    "patience 0 waits for a check without improvement": ({"patience": 0}, [3, 2, 1, 1], 3, 2, PATIENCE),
    "patience 3": ({"patience": 3}, [1, 2, 2, 2, 0], 3, 0, PATIENCE),
    "one check short of patience": ({"patience": 3}, [1, 2, 2], None, 0, None),
    "an improvement starts the count anew": ({"patience": 2}, [3, 4, 2, 3, 3], 4, 2, PATIENCE),
    "better than the last is not better than the best": ({"patience": 2}, [1, 3, 2], 2, 0, PATIENCE),
    "a tie is no improvement": ({"patience": 2}, [1, 1, 1], 2, 0, PATIENCE),
    "no value": ({}, [], None, None, None),
    # non-finite values
    "NaN first": ({}, [NAN, 1], 0, None, NON_FINITE),
    "NaN in the middle": ({}, [2, 1, NAN, 0], 2, 1, NON_FINITE),
    "inf": ({}, [2, INF], 1, 0, NON_FINITE),
    "-inf is no best": ({}, [2, -INF], 1, 0, NON_FINITE),
    "NaN before patience": ({"patience": 1}, [1, NAN], 1, 0, NON_FINITE),
    "unchecked, NaN first": ({"check_finite": False, "patience": 2}, [NAN, 1, 2, 2], 3, 1, PATIENCE),
    "unchecked, NaN in the middle": ({"check_finite": False, "patience": 2}, [2, NAN, 1, NAN, NAN], 4, 2, PATIENCE),
    "unchecked, all NaN": ({"check_finite": False, "patience": 3}, [NAN] * 4, 2, None, PATIENCE),
    "unchecked, worst infinity": ({"check_finite": False, "patience": 2}, [INF, INF], 1, None, PATIENCE),
    "unchecked, best infinity": ({"check_finite": False, "patience": 1}, [1, -INF, -INF], 2, 1, PATIENCE),
    # min_delta
    "by exactly min_delta": ({"min_delta": 0.5, "patience": 1}, [1, 0.5], 1, 0, PATIENCE),
    "by min_delta and a step of float32": ({"min_delta": 0.5, "patience": 1}, [1, BELOW_HALF], None, 1, None),
    "by min_delta but a step of float32": ({"min_delta": 0.5, "patience": 1}, [1, ABOVE_HALF], 1, 0, PATIENCE),
    "by min_delta in float32 only": ({"min_delta": 0.0999999999, "patience": 1}, [1, NINE_TENTHS], 1, 0, PATIENCE),
    "slow drift adds up": ({"min_delta": 0.1, "patience": 3}, [1, 0.96, 0.92, 0.88], None, 3, None),
    "too slow a drift": ({"min_delta": 0.1, "patience": 2}, [1, 0.96, 0.92, 0.88], 2, 0, PATIENCE),
    "the first value needs no min_delta": ({"min_delta": 100, "patience": 1}, [1, 0.5], 1, 0, PATIENCE),
    # baseline
    "short of baseline": ({"baseline": 0.5, "patience": 3}, [1, 0.9, 0.8, 0.8], 3, 2, PATIENCE),
    "short of baseline, improving": ({"baseline": 0.5, "patience": 1}, [1, 0.9, 0.8], None, 2, None),
    "beyond baseline": ({"baseline": 0.5, "patience": 2}, [1, 0.4, 0.4, 0.4], 3, 1, PATIENCE),
    "at baseline": ({"baseline": 0.5, "patience": 2}, [1, 0.5, 0.5], 2, 1, PATIENCE),
    "beyond baseline by min_delta only": (
        {"baseline": 0.5, "min_delta": 0.25, "patience": 2}, [1, 0.25, 0.25], 2, 1, PATIENCE,
    ),
    # start_from_epoch
    "warm-up is not looked at": ({"start_from_epoch": 2, "patience": 2}, [0, 0, 3, 4, 4], 4, 2, PATIENCE),
    "NaN in the warm-up": ({"start_from_epoch": 1, "patience": 1}, [NAN, 2, 1], None, 2, None),
    "threshold in the warm-up": ({"start_from_epoch": 1, "stopping_threshold": 1}, [0, 2, 1.5], None, 2, None),
    "only warm-up": ({"start_from_epoch": 9, "patience": 1}, [1, 2, 3], None, None, None),
    # thresholds
    "stopping threshold": ({"stopping_threshold": 0.5}, [1, 0.4], 1, 0, THRESHOLD),
    "at the stopping threshold": ({"stopping_threshold": 0.5}, [1, 0.5], None, 1, None),
    "stopping threshold at once": ({"stopping_threshold": 0.5}, [0.4], 0, None, THRESHOLD),
    "divergence threshold": ({"divergence_threshold": 2}, [1, 3], 1, 0, DIVERGED),
    "at the divergence threshold": ({"divergence_threshold": 2}, [1, 2], None, 0, None),
    "both thresholds, good": ({"stopping_threshold": 0, "divergence_threshold": 2}, [1, -1], 1, 0, THRESHOLD),
    "both thresholds, bad": ({"stopping_threshold": 0, "divergence_threshold": 2}, [1, 3], 1, 0, DIVERGED),
    "both thresholds, between": ({"stopping_threshold": 0, "divergence_threshold": 2}, [1, 0, 2], None, 1, None),
    "zero is a threshold": ({"stopping_threshold": 0.0}, [1, -1], 1, 0, THRESHOLD),
    "divergence before patience": ({"divergence_threshold": 2, "patience": 1}, [1, 3], 1, 0, DIVERGED),
    "non-finite before divergence": ({"divergence_threshold": 2}, [1, INF], 1, 0, NON_FINITE),
    "unchecked, inf diverges": ({"divergence_threshold": 2, "check_finite": False}, [1, INF], 1, 0, DIVERGED),
    "unchecked, NaN does not diverge": ({"divergence_threshold": 2, "check_finite": False}, [1, NAN], None, 0, None),
    # min_epochs
    "too early, then better": ({"min_epochs": 4, "patience": 1}, [1, 2, 2, 0.5, 0.6], 4, 3, PATIENCE),
    "too early, and no better since": ({"min_epochs": 4, "patience": 1}, [1, 2, 2, 2, 0], 3, 0, PATIENCE),
    "in the epoch that completes them": ({"min_epochs": 2, "patience": 1}, [1, 2], 1, 0, PATIENCE),
    "NaN too early": ({"min_epochs": 3, "patience": 1}, [1, NAN, 0.5, 0.6], 3, 2, PATIENCE),
    "threshold too early": ({"min_epochs": 3, "stopping_threshold": 0.5}, [1, 0.4, 0.7], None, 2, None),
    "threshold too early and still": ({"min_epochs": 3, "stopping_threshold": 0.5}, [1, 0.4, 0.3], 2, 0, THRESHOLD),
    "divergence too early": ({"min_epochs": 3, "divergence_threshold": 2}, [1, 3, 1, 3], 3, 0, DIVERGED),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "values", "stop", "best", "reason"), TABLE.values(), ids=TABLE)
def test_it_stops_where_the_table_says_in_both_modes(
    settings: dict[str, Any], values: list[float], stop: int | None, best: int | None, reason: StopReason | None
) -> None:
    assert watch(StoppingPolicy(mode="min", **settings), values) == (stop, best, reason)
    upside_down = StoppingPolicy(mode="max", **mirrored(settings))
    assert watch(upside_down, [-value for value in values]) == (stop, best, reason)


def test_the_defaults_are_lower_is_better_and_three_checks() -> None:
    assert watch(StoppingPolicy(), [3, 2, 4, 4, 4]) == (4, 1, PATIENCE)


# settings, epochs of the checks, values, epoch of the stop, epoch of the best
SEVERAL_CHECKS: dict[str, tuple[dict[str, Any], list[int], list[float], int | None, int | None]] = {
    "patience counts checks": ({"patience": 3}, [0, 0, 0, 0], [1, 2, 2, 2], 0, 0),
    "patience counts checks, not the epochs between": ({"patience": 2}, [4, 9, 14], [1, 2, 2], 14, 4),
    "start_from_epoch counts epochs": ({"patience": 1, "start_from_epoch": 1}, [0, 0, 1, 1], [0, 1, 2, 3], 1, 1),
    "min_epochs counts epochs": ({"patience": 1, "min_epochs": 2}, [0, 0, 0, 1], [1, 2, 2, 2], 1, 0),
}


@pytest.mark.parametrize(("settings", "epochs", "values", "stop", "best"), SEVERAL_CHECKS.values(), ids=SEVERAL_CHECKS)
def test_checks_and_epochs_are_counted_apart(
    settings: dict[str, Any], epochs: list[int], values: list[float], stop: int | None, best: int | None
) -> None:
    outcome = watch(StoppingPolicy(**settings), values, epochs)
    assert outcome == (stop, best, None if stop is None else PATIENCE)


def states(policy: StoppingPolicy, values: list[float]) -> tuple[PolicyState, list[tuple[bool, bool, int]]]:
    state = policy.start()
    seen = []
    for epoch, value in enumerate(values):
        decision = state.update(value, epoch)
        seen.append((decision.improved, decision.stop, state.wait))
    return state, seen


def test_each_check_tells_improvement_stop_and_wait() -> None:
    _, seen = states(StoppingPolicy(patience=2), [3, 4, 2, 2, 2])
    assert seen == [(True, False, 0), (False, False, 1), (True, False, 0), (False, False, 1), (False, True, 2)]


def test_a_value_short_of_the_baseline_improves_and_waits() -> None:
    """What Keras does: such a value is kept as the best, but does not set the counter back."""
    state, seen = states(StoppingPolicy(patience=9, baseline=0.5), [1.0, 0.9, 0.4])
    assert seen == [(True, False, 1), (True, False, 2), (True, False, 0)]
    assert state.best == 0.4


def test_the_first_stop_is_the_one_that_is_remembered() -> None:
    state, _ = states(StoppingPolicy(patience=1), [1, 2, 3, NAN, 0])
    assert (state.stopped_epoch, state.reason) == (1, PATIENCE)
    assert (state.best, state.best_epoch, state.checks) == (0, 4, 5)


def test_every_value_is_counted_as_a_check_warm_up_included() -> None:
    state, _ = states(StoppingPolicy(start_from_epoch=2), [NAN, 1, 2])
    assert state.checks == 3


def test_the_reasons_of_a_policy_are_told_from_the_trainers_limits() -> None:
    early = {reason for reason in StopReason if reason.is_early}
    assert early == {PATIENCE, NON_FINITE, THRESHOLD, DIVERGED}
