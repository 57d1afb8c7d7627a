"""What is wrong in a config is found before anything is imported, and all of it is shown at once."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import pytest

from keepbest.composition.checks import ConfigErrors, check, policy_of
from keepbest.errors import ConfigError
from keepbest.stopping.policy import StoppingPolicy

ABSENT = object()


def changed(config: dict[str, Any], changes: dict[str, object]) -> dict[str, Any]:
    """Return a copy with the values of some dotted keys replaced, or taken out."""
    config = copy.deepcopy(config)
    for key, value in changes.items():
        *path, last = key.split(".")
        node = config
        for name in path:
            node = node[name]
        if value is ABSENT:
            del node[last]
        else:
            node[last] = value
    return config


STOP = "callbacks.early_stopping"
TARGET, TARGET_OR_NULL = "it must name a class in _target_", "it must name a class in _target_, or be null"
BOTH, SEED = "it must hold monitor and mode, and nothing else", "it must be a whole number from 0 to 2**32 - 1"
TOLERANCE = "it must be auto or a number, at least 0"

# what is changed, the key of the fault, and what is said of it
FAULTS: dict[str, tuple[dict[str, object], str, str]] = {
    "no model": ({"model": ABSENT}, "model", f"{TARGET}, got None. Choose an option with model=..."),
    "model, null": ({"model": None}, "model", f"{TARGET}, got None."),
    "model without target": ({"model": {"lr": 1}}, "model", f"{TARGET}, got {{'lr': 1}}."),
    "model, text": ({"model": "mlp"}, "model", f"{TARGET}, got 'mlp'."),
    "data's target": ({"data": {"_target_": 5}}, "data", f"{TARGET}, got {{'_target_': 5}}."),
    "no trainer": ({"trainer": ABSENT}, "trainer", f"{TARGET}, got None."),
    "a callback": ({"callbacks.mine": 3}, "callbacks.mine", f"{TARGET_OR_NULL}, got 3."),
    "a callback without target": ({STOP: {"patience": 1}}, STOP, f"{TARGET_OR_NULL}, got {{'patience': 1}}."),
    "a logger": ({"logger": {"csv": True}}, "logger.csv", f"{TARGET_OR_NULL}, got True."),
    "no objective": ({"objective": ABSENT}, "objective", f"{BOTH}, got None."),
    "objective without mode": ({"objective": {"monitor": "a"}}, "objective", f"{BOTH}, got {{'monitor': 'a'}}."),
    "objective with more": ({"objective.patience": 3}, "objective", f"{BOTH}, got {{"),
    "monitor": ({"objective.monitor": 3}, "objective.monitor", "it must be the name of a metric, got 3."),
    "monitor, empty": ({"objective.monitor": ""}, "objective.monitor", "it must be the name of a metric, got ''."),
    "mode": ({"objective.mode": "maxi"}, "objective.mode", "it must be min or max, got 'maxi'. Did you mean 'max'?"),
    "mode, far off": ({"objective.mode": 7}, "objective.mode", "it must be min or max, got 7."),
    "seed, text": ({"seed": "one"}, "seed", f"{SEED}, got 'one'. Or null, for a run that nobody can repeat."),
    "seed, negative": ({"seed": -1}, "seed", f"{SEED}, got -1."),
    "seed, too large": ({"seed": 2**32}, "seed", f"{SEED}, got 4294967296."),
    "seed, float": ({"seed": 1.0}, "seed", f"{SEED}, got 1.0."),
    "seed, truth": ({"seed": True}, "seed", f"{SEED}, got True."),
    "tolerance": ({"verification.tolerance": "low"}, "verification.tolerance", f"{TOLERANCE}, got 'low'."),
    "tolerance, negative": ({"verification.tolerance": -0.1}, "verification.tolerance", f"{TOLERANCE}, got -0.1."),
    "tolerance, NaN": ({"verification.tolerance": math.nan}, "verification.tolerance", f"{TOLERANCE}, got nan."),
    "tolerance, null": ({"verification.tolerance": None}, "verification.tolerance", f"{TOLERANCE}, got None."),
    "tolerance, truth": ({"verification.tolerance": True}, "verification.tolerance", f"{TOLERANCE}, got True."),
    "patience": ({f"{STOP}.patience": "x"}, STOP, "patience must be a whole number of checks, at least 0, got 'x'."),
    "min_delta": ({f"{STOP}.min_delta": -1}, STOP, "min_delta must not be negative, got -1. Give its size; mode gives"),
    "policy's mode": ({f"{STOP}.mode": "mid"}, STOP, "mode must be 'min' or 'max', got 'mid'."),
    "min_epochs": ({"trainer.min_epochs": 1.5}, STOP, "min_epochs must be a whole number of epochs, at least 0, got"),
}


@pytest.mark.parametrize(("changes", "key", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_with_its_key(
    plain_config: dict[str, Any], changes: dict[str, object], key: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{key}: {message}')}") as caught:
        check(changed(plain_config, changes))
    assert caught.value.key == key
    assert not isinstance(caught.value, ConfigErrors)


def test_callbacks_that_are_a_list_are_refused(plain_config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^callbacks: it must map names to nodes, got \[1\]\."):
        check(changed(plain_config, {"callbacks": [1]}))


SOUND: dict[str, dict[str, object]] = {
    "as it is": {},
    "seed, null": {"seed": None},
    "seed, absent": {"seed": ABSENT},
    "seed, the largest": {"seed": 2**32 - 1},
    "no verification": {"verification": ABSENT},
    "verification, null": {"verification": None},
    "tolerance, number": {"verification.tolerance": 1e-3},
    "tolerance, zero": {"verification.tolerance": 0},
    "a callback, off": {STOP: None},
    "a callback, empty": {STOP: {}},
    "no callback": {"callbacks": {}},
    "a logger": {"logger": {"csv": {"_target_": "a.Logger"}, "off": None}},
    "no logger": {"logger": ABSENT},
    "a section of the user's own": {"mine": {"a": 1}},
}


@pytest.mark.parametrize("changes", SOUND.values(), ids=SOUND)
def test_a_sound_config_passes(plain_config: dict[str, Any], changes: dict[str, object]) -> None:
    check(changed(plain_config, changes))


def test_several_faults_are_shown_together(plain_config: dict[str, Any]) -> None:
    config = changed(plain_config, {"seed": "x", "objective.mode": "up", "model": None, "verification.tolerance": -1})
    with pytest.raises(ConfigErrors, match=r"^the config has 4 faults:\n") as caught:
        check(config)
    assert [fault.key for fault in caught.value.faults] == ["model", "objective.mode", "seed", "verification.tolerance"]
    lines = str(caught.value).splitlines()
    assert lines[1:] == [f"  * {fault}" for fault in caught.value.faults]
    assert caught.value.exit_status == 2


def test_one_wrong_mode_is_one_fault(plain_config: dict[str, Any]) -> None:
    """The policy takes its mode from the objective: the cause is shown, not its consequence."""
    with pytest.raises(ConfigError, match=r"^objective\.mode: it must be min or max, got 'up'"):
        check(changed(plain_config, {"objective.mode": "up", f"{STOP}.mode": "up"}))


def test_the_policy_is_made_of_what_early_stopping_says(plain_config: dict[str, Any]) -> None:
    settings = {"patience": 7, "min_delta": 0.1, "mode": "max", "stopping_threshold": 2.0}
    config = changed(plain_config, {STOP: {"_target_": "a.Stop", "monitor": "val_acc", "verbose": True, **settings}})
    assert policy_of(config) == StoppingPolicy(**settings)


MIN_EPOCHS: dict[str, tuple[dict[str, object], int]] = {
    "not given": ({}, 0),
    "the trainer's": ({"trainer.min_epochs": 4}, 4),
    "the trainer's, null": ({"trainer.min_epochs": None}, 0),
    "early stopping's own": ({"trainer.min_epochs": 4, f"{STOP}.min_epochs": 2}, 2),
}


@pytest.mark.parametrize(("changes", "epochs"), MIN_EPOCHS.values(), ids=MIN_EPOCHS)
def test_the_policy_knows_the_trainers_min_epochs(
    plain_config: dict[str, Any], changes: dict[str, object], epochs: int
) -> None:
    policy = policy_of(changed(plain_config, changes))
    assert policy is not None
    assert policy.min_epochs == epochs


@pytest.mark.parametrize("changes", [{STOP: None}, {STOP: {}}, {STOP: ABSENT}], ids=["null", "empty", "absent"])
def test_without_early_stopping_there_is_no_policy(plain_config: dict[str, Any], changes: dict[str, object]) -> None:
    assert policy_of(changed(plain_config, changes)) is None


@pytest.mark.parametrize("callbacks", [None, ABSENT], ids=["null", "absent"])
def test_without_any_callbacks_there_is_no_policy(plain_config: dict[str, Any], callbacks: object) -> None:
    """`keepbest train ~callbacks`."""
    config = changed(plain_config, {"callbacks": callbacks})
    check(config)
    assert policy_of(config) is None


@pytest.mark.parametrize("node", [0.1, "auto", [1]], ids=str)
def test_a_verification_that_is_no_mapping_is_refused(plain_config: dict[str, Any], node: object) -> None:
    with pytest.raises(ConfigError, match=r"^verification: "):
        check(changed(plain_config, {"verification": node}))


def test_an_unknown_key_of_verification_is_refused(plain_config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^verification.*tolerence"):
        check(changed(plain_config, {"verification.tolerence": 0.1}))
