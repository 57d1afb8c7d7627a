"""What becomes of a stop: forbidden, said, taken back, and looked at again under other settings."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from keepbest.stopping.policy import Decision, PolicyState, StoppingPolicy
from keepbest.stopping.reasons import StopReason

NAN = math.nan
PATIENCE, NON_FINITE = StopReason.PATIENCE_EXHAUSTED, StopReason.NON_FINITE
THRESHOLD, DIVERGED = StopReason.THRESHOLD_REACHED, StopReason.DIVERGED

# settings, values of which the last gives a reason to stop, the reason
STOPS: dict[str, tuple[dict[str, Any], list[float], StopReason]] = {
    "patience": ({"patience": 2}, [1, 2, 2], PATIENCE),
    "NaN": ({}, [1, NAN], NON_FINITE),
    "stopping threshold": ({"stopping_threshold": 0.5}, [1, 0.4], THRESHOLD),
    "divergence threshold": ({"divergence_threshold": 5}, [1, 6], DIVERGED),
}
each_reason = pytest.mark.parametrize(("settings", "values", "reason"), STOPS.values(), ids=STOPS)


def watched(settings: dict[str, Any], values: list[float], *, may_stop: bool = True) -> PolicyState:
    state = StoppingPolicy(**settings).start()
    for epoch, value in enumerate(values):
        state.update(value, epoch, may_stop=may_stop)
    return state


@each_reason
def test_a_reason_that_is_found_while_it_may_not_stop_is_not_remembered(
    settings: dict[str, Any], values: list[float], reason: StopReason
) -> None:
    state = watched(settings, values[:-1])
    assert state.update(values[-1], len(values) - 1, may_stop=False) == Decision(False, False, None)
    assert (state.stopped, state.stopped_epoch, state.reason) == (False, None, None)
    assert not state.still_stopped()
    assert state.update(0.75, len(values)) == Decision(improved=True, stop=False, reason=None), "it goes on"


@each_reason
def test_a_reason_that_is_still_there_when_it_may_stop_again_counts_from_then(
    settings: dict[str, Any], values: list[float], reason: StopReason
) -> None:
    state = watched(settings, values, may_stop=False)
    last = len(values)
    assert state.update(values[-1], last) == Decision(improved=False, stop=True, reason=reason)
    assert (state.stopped_epoch, state.reason) == (last, reason)


def test_what_is_waited_while_it_may_not_stop_is_waited() -> None:
    state = watched({"patience": 3}, [1, 2, 2, 2, 2], may_stop=False)
    assert (state.wait, state.checks, state.best, state.best_epoch) == (4, 5, 1, 0)


def test_an_improvement_is_one_also_while_it_may_not_stop() -> None:
    state = StoppingPolicy().start()
    assert state.update(1.0, 0, may_stop=False) == Decision(improved=True, stop=False, reason=None)
    assert (state.best, state.best_epoch) == (1, 0)


def test_permission_to_stop_does_not_lift_min_epochs() -> None:
    state = StoppingPolicy(patience=1, min_epochs=3).start()
    assert [state.update(value, epoch, may_stop=True).stop for epoch, value in enumerate([1, 2, 2])] == [
        False, False, True,
    ]  # fmt: skip


@each_reason
def test_stopped_says_whether_a_stop_was_said_and_stays_true(
    settings: dict[str, Any], values: list[float], reason: StopReason
) -> None:
    assert not watched(settings, values[:-1]).stopped
    state = watched(settings, values)
    assert state.stopped
    state.update(0.75, len(values))
    assert state.stopped, "also after a better value"
    assert (state.stopped_epoch, state.reason) == (len(values) - 1, reason)


@each_reason
def test_a_stop_still_stands_under_the_settings_that_it_was_said_under(
    settings: dict[str, Any], values: list[float], reason: StopReason
) -> None:
    assert not watched(settings, values[:-1]).still_stopped()
    assert watched(settings, values).still_stopped()


# settings, values that stop, settings changed afterwards, whether the stop stands
AFTERWARDS: dict[str, tuple[dict[str, Any], list[float], dict[str, Any], bool]] = {
    "patience raised": ({"patience": 2}, [1, 2, 2], {"patience": 3}, False),
    "patience lowered": ({"patience": 2}, [1, 2, 2], {"patience": 1}, True),
    "patience raised no higher than what was waited": ({"patience": 2}, [1, 2, 2, 2, 2], {"patience": 4}, True),
    "patience lowered to none": ({"patience": 2}, [1, 2, 2], {"patience": 0}, True),
    "more patience does not heal a NaN": ({"patience": 2}, [1, NAN], {"patience": 9}, True),
    "a larger min_delta leaves what was waited": ({"patience": 2}, [1, 2, 2], {"min_delta": 5}, True),
    "check_finite turned off": ({}, [1, NAN], {"check_finite": False}, False),
    "check_finite turned off, the patience is not": ({"patience": 1}, [1, 2], {"check_finite": False}, True),
    "stopping threshold farther": ({"stopping_threshold": 0.5}, [1, 0.4], {"stopping_threshold": 0.3}, False),
    "stopping threshold nearer": ({"stopping_threshold": 0.5}, [1, 0.4], {"stopping_threshold": 0.6}, True),
    "stopping threshold at the value": ({"stopping_threshold": 0.5}, [1, 0.25], {"stopping_threshold": 0.25}, False),
    "stopping threshold gone": ({"stopping_threshold": 0.5}, [1, 0.4], {"stopping_threshold": None}, False),
    "divergence threshold farther": ({"divergence_threshold": 5}, [1, 6], {"divergence_threshold": 7}, False),
    "divergence threshold nearer": ({"divergence_threshold": 5}, [1, 6], {"divergence_threshold": 2}, True),
    "divergence threshold gone": ({"divergence_threshold": 5}, [1, 6], {"divergence_threshold": None}, False),
    "the last value is beyond another threshold": (
        {"stopping_threshold": 0.5}, [1, 0.4], {"stopping_threshold": None, "divergence_threshold": 0.2}, True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "values", "changed", "stands"), AFTERWARDS.values(), ids=AFTERWARDS)
def test_whether_a_stop_stands_is_asked_of_the_settings_of_now(
    settings: dict[str, Any], values: list[float], changed: dict[str, Any], stands: bool
) -> None:
    state = watched(settings, values)
    assert state.stopped
    state.policy = dataclasses.replace(state.policy, **changed)
    assert state.still_stopped() is stands
    assert state.stopped, "asking changes nothing"


def test_whether_a_stop_stands_can_be_asked_after_it_was_saved_and_loaded() -> None:
    saved = json.loads(json.dumps(watched({"stopping_threshold": 0.5}, [1, 0.4]).state_dict()))
    for threshold, stands in ((0.3, False), (0.6, True)):
        state = StoppingPolicy(stopping_threshold=threshold).start()
        state.load_state_dict(saved)
        assert state.still_stopped() is stands


# reason, settings afterwards, whether the stop stands
OF_LIGHTNING: dict[str, tuple[str, dict[str, Any], bool]] = {
    "the same patience": ("patience_exhausted", {"patience": 2}, True),
    "patience raised": ("patience_exhausted", {"patience": 3}, False),
    "any other reason": ("diverged", {"divergence_threshold": 9}, True),
}


@pytest.mark.parametrize(("reason", "settings", "stands"), OF_LIGHTNING.values(), ids=OF_LIGHTNING)
def test_a_stop_whose_last_value_is_not_known_stands_unless_patience_was_raised(
    reason: str, settings: dict[str, Any], stands: bool
) -> None:
    """A checkpoint of Lightning's callback holds what was waited, but not the last value."""
    known = {"best": 1.0, "wait": 2, "stopped_epoch": 3, "reason": reason}
    state = StoppingPolicy(**settings).start()
    state.load_state_dict({**state.state_dict(), **known})
    assert state.still_stopped() is stands


@each_reason
def test_a_forgotten_stop_is_gone_and_what_was_waited_is_not(
    settings: dict[str, Any], values: list[float], reason: StopReason
) -> None:
    state, unforgotten = watched(settings, values), watched(settings, values)
    state.forget_stop()
    assert (state.stopped, state.stopped_epoch, state.reason, state.still_stopped()) == (False, None, None, False)
    gone = {"stopped_epoch": None, "reason": None}
    assert repr(state.state_dict()) == repr({**unforgotten.state_dict(), **gone}), "as texts, because NaN is not NaN"


def test_after_a_forgotten_stop_the_next_one_is_remembered() -> None:
    state = watched({"patience": 2}, [1, 2, 2])
    state.forget_stop()
    state.policy = StoppingPolicy(patience=4)
    assert not state.update(2, 3).stop
    assert state.update(2, 4).stop, "two checks were waited before, two after"
    assert state.stopped_epoch == 4


def test_last_is_the_value_of_the_latest_check_whatever_came_of_it() -> None:
    state = StoppingPolicy(start_from_epoch=1, stopping_threshold=0.5, check_finite=False, patience=9).start()
    assert state.last is None
    for epoch, value in enumerate([7, 2, 3, NAN, 0.4]):  # warm-up, improvement, wait, no number, threshold
        state.update(value, epoch)
        assert repr(state.last) == repr(float(value))
    state.update(torch.tensor(0.25), 5, may_stop=False)
    assert (state.last, type(state.last)) == (0.25, float), "a plain number, whatever it was given as"


NUMPY = {
    "patience": (np.int64(4), 4),
    "start_from_epoch": (np.int32(2), 2),
    "min_epochs": (np.uint8(5), 5),
    "min_delta": (np.float32(0.25), 0.25),
    "baseline": (np.float64(0.5), 0.5),
    "stopping_threshold": (np.float16(0.125), 0.125),
    "divergence_threshold": (np.int64(3), 3.0),
}


@pytest.mark.parametrize(("name", "given", "kept"), [(name, *values) for name, values in NUMPY.items()], ids=NUMPY)
def test_numpys_numbers_become_pythons(name: str, given: Any, kept: float) -> None:
    """A record of the policy is JSON, which has no others."""
    policy = StoppingPolicy(**{name: given})
    assert (getattr(policy, name), type(getattr(policy, name))) == (kept, type(kept))
    assert json.loads(json.dumps(policy.as_dict()))[name] == kept
    assert policy == StoppingPolicy(**{name: kept})


@pytest.mark.parametrize(
    ("reason", "settings", "stands"),
    [
        ("threshold_reached", {"stopping_threshold": 1.0}, True),
        ("threshold_reached", {}, False),
        ("diverged", {"divergence_threshold": 1.0}, True),
        ("diverged", {}, False),
        ("non_finite", {}, True),
        ("non_finite", {"check_finite": False}, False),
    ],
)
def test_a_stop_whose_value_is_unknown_stands_while_it_is_looked_for(
    reason: str, settings: dict[str, Any], stands: bool
) -> None:
    """As in a checkpoint of Lightning's class, which does not save the value."""
    state = StoppingPolicy(**settings).start()
    state.load_state_dict({**state.state_dict(), "reason": reason, "stopped_epoch": 3})
    assert state.still_stopped() is stands
