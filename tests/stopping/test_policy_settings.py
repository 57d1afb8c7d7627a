"""A policy's settings are checked when it is made, and stay what they are."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from typing import Any

import pytest

from keepbest.errors import ConfigError
from keepbest.stopping.policy import POLICY_SETTINGS, StoppingPolicy

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "mode": ({"mode": "auto"}, "mode must be 'min' or 'max', got 'auto'."),
    "mode, empty": ({"mode": None}, "mode must be 'min' or 'max', got None."),
    "patience, negative": ({"patience": -1}, "patience must be a whole number of checks, at least 0, got -1."),
    "patience, text": ({"patience": "3"}, "patience must be a whole number of checks, at least 0, got '3'."),
    "patience, broken": ({"patience": 2.5}, "patience must be a whole number of checks, at least 0, got 2.5."),
    "patience, whole float": ({"patience": 2.0}, "patience must be a whole number of checks, at least 0, got 2.0."),
    "patience, truth": ({"patience": True}, "patience must be a whole number of checks, at least 0, got True."),
    "patience, none": ({"patience": None}, "patience must be a whole number of checks, at least 0, got None."),
    "start_from_epoch": ({"start_from_epoch": -2}, "start_from_epoch must be a whole number of epochs, at least 0"),
    "min_epochs": ({"min_epochs": 1.5}, "min_epochs must be a whole number of epochs, at least 0, got 1.5."),
    "min_delta, negative": (
        {"min_delta": -0.1}, "min_delta must not be negative, got -0.1. Give its size; mode gives its sign.",
    ),
    "min_delta, text": ({"min_delta": "x"}, "min_delta must be a finite number, got 'x'."),
    "min_delta, NaN": ({"min_delta": math.nan}, "min_delta must be a finite number, got nan."),
    "min_delta, infinite": ({"min_delta": math.inf}, "min_delta must be a finite number, got inf."),
    "min_delta, truth": ({"min_delta": False}, "min_delta must be a finite number, got False."),
    "min_delta, none": ({"min_delta": None}, "min_delta must be a finite number, got None."),
    "baseline": ({"baseline": "0.5"}, "baseline must be a finite number, got '0.5'."),
    "stopping_threshold": ({"stopping_threshold": math.nan}, "stopping_threshold must be a finite number, got nan."),
    "divergence_threshold": ({"divergence_threshold": []}, "divergence_threshold must be a finite number, got []."),
    "check_finite": ({"check_finite": 1}, "check_finite must be true or false, got 1."),
    "thresholds crossed, min": (
        {"stopping_threshold": 2, "divergence_threshold": 1},
        "stopping_threshold must lie below divergence_threshold in mode 'min', "
        "got 'stopping_threshold=2, divergence_threshold=1'.",
    ),
    "thresholds crossed, max": (
        {"mode": "max", "stopping_threshold": 1, "divergence_threshold": 2},
        "stopping_threshold must lie above divergence_threshold in mode 'max', ",
    ),
    "thresholds equal": ({"stopping_threshold": 1, "divergence_threshold": 1}, "stopping_threshold must lie below"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_setting_is_refused_with_the_rule_and_the_value(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        StoppingPolicy(**settings)


ADMITTED: dict[str, dict[str, Any]] = {
    "zeros": {"patience": 0, "min_delta": 0, "start_from_epoch": 0, "min_epochs": 0},
    "whole numbers for floats": {"min_delta": 1, "baseline": 2, "stopping_threshold": 0, "divergence_threshold": 3},
    "one threshold": {"stopping_threshold": -1.5},
    "thresholds, max": {"mode": "max", "stopping_threshold": 2, "divergence_threshold": 1},
}


@pytest.mark.parametrize("settings", ADMITTED.values(), ids=ADMITTED)
def test_a_right_setting_is_kept_as_it_was_given(settings: dict[str, Any]) -> None:
    assert StoppingPolicy(**settings).as_dict().items() >= settings.items()


def test_min_delta_keeps_its_sign_in_mode_min() -> None:
    """Lightning's callback turns it over, and prints it that way."""
    policy = StoppingPolicy(mode="min", min_delta=0.5)
    policy.start().update(1.0, 0)
    assert policy.min_delta == 0.5


def test_a_policy_is_a_value() -> None:
    one, other = StoppingPolicy(patience=2), StoppingPolicy(patience=2)
    assert one == other
    assert {one: "same"}[other] == "same"
    with pytest.raises(dataclasses.FrozenInstanceError, match="patience"):
        one.patience = 3  # type: ignore[misc]


def test_as_dict_holds_every_setting_in_the_order_of_the_signature() -> None:
    assert tuple(StoppingPolicy().as_dict()) == tuple(inspect.signature(StoppingPolicy).parameters) == POLICY_SETTINGS
    assert StoppingPolicy(**StoppingPolicy(patience=7, mode="max").as_dict()) == StoppingPolicy(patience=7, mode="max")
