"""A run that goes on, as it was or with other settings for its end."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from keepbest.composition.checks import check
from keepbest.composition.resolved import PlainConfig, read_config, write_config
from keepbest.errors import ConfigError, did_you_mean
from keepbest.records.ownership import owned
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import read_record, write_record
from keepbest.stopping.policy import POLICY_SETTINGS

_POLICY = "callbacks.early_stopping"
_MAY_CHANGE = (
    *(f"{_POLICY}.{name}" for name in POLICY_SETTINGS if name not in ("mode", "min_epochs")),
    "trainer.min_epochs",
    "trainer.max_epochs",
)
"""What decides where a training ends, and nothing else about it."""


def change_settings(run_dir: Path, overrides: Sequence[str]) -> None:
    """Give a run other settings for its end, and let it go on from its last checkpoint even if it had stopped.

    Args:
        run_dir: the run's directory.
        overrides: `callbacks.early_stopping.patience=20` and the like.

    Raises:
        ConfigError: for what would change the training itself, or a value that cannot work; nothing is written.
        OwnedError: when another process trains in the directory.
    """
    with owned(run_dir):
        record, config = read_record(run_dir), read_config(run_dir)
        changed = with_overrides(config, overrides)
        check(changed)
        if record.last is None:
            raise ConfigError(
                "a run goes on from its last checkpoint, and this one has none", received=str(run_dir),
                remedy="Train anew with `keepbest train`",
            )  # fmt: skip
        write_record(run_dir, _reopened(record))
        write_config(run_dir, changed)


def with_overrides(config: PlainConfig, overrides: Sequence[str]) -> PlainConfig:
    """Return a config with other settings for the end of its training.

    Raises:
        ConfigError: for a setting that decides more than that, or that the run does not have.
    """
    changed: PlainConfig = copy.deepcopy(config)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ConfigError("an override is KEY=VALUE", received=override)
        if key not in _MAY_CHANGE:
            raise ConfigError(
                f"a run that goes on may change only what decides its end: {', '.join(_MAY_CHANGE)}",
                received=key,
                remedy=did_you_mean(key, _MAY_CHANGE) or "Anything else makes it another training: `keepbest train`",
            )
        _set(changed, key, text)
    return changed


def _set(config: dict[str, Any], key: str, text: str) -> None:
    *path, name = key.split(".")
    node: Any = config
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    if not isinstance(node, dict):
        raise ConfigError("the run has no early stopping to change", received=key)
    try:
        node[name] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{text!r} is no value: {error}", key=key) from error


def _reopened(record: RunRecord) -> RunRecord:
    """Return the record of a run that goes on: its result was that of other settings."""
    return dataclasses.replace(
        record,
        status=RunStatus.INTERRUPTED,
        config_sha256=None,
        error=None,
        verified=None,
        stopping=None,
        policy_best=None,
        test=None,
    )
