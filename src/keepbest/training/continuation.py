"""A run that goes on, as it was or with other settings for its end."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

import yaml

from keepbest.composition.checks import check, policy_of
from keepbest.composition.resolved import PlainConfig, write_config
from keepbest.errors import ConfigError, did_you_mean
from keepbest.records.ownership import owned
from keepbest.records.run_record import LastCheckpoint, RunRecord, RunStatus
from keepbest.records.store import read_record, write_record
from keepbest.stopping.policy import POLICY_SETTINGS, StoppingPolicy
from keepbest.training.interruption import signals_held
from keepbest.training.job import read_job_config, sha256_of_config

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
        record = read_record(run_dir)
        config = read_job_config(run_dir, record)
        changed = with_overrides(config, overrides)
        check(changed)
        if record.last is None:
            raise ConfigError(
                "a run goes on from its last checkpoint, and this one has none", received=str(run_dir),
                remedy="Train anew with `keepbest train`",
            )  # fmt: skip
        if record.last.ended_early:
            raise ConfigError(
                "a run that stopped within an epoch goes on from that moment, and of this one there is only the end "
                "that the epoch was given then: it stopped between two optimizer steps, or not by early stopping",
                received=str(run_dir),
                remedy="Train anew with `keepbest train`",
            )
        _require_later_end(changed, record, _checks_of(run_dir, record.last))
        reopened = _reopened(record)
        with signals_held():
            write_record(run_dir, reopened)
            write_config(run_dir, changed)
            write_record(run_dir, dataclasses.replace(reopened, config_sha256=sha256_of_config(changed)))


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


def _require_later_end(config: PlainConfig, record: RunRecord, checks: Sequence[tuple[int, SupportsFloat]]) -> None:
    """Refuse settings under which the training would have ended before it did: what it did then cannot be undone.

    Args:
        config: with the settings, checked.
        record: of the run, which has a last checkpoint.
        checks: epoch and value of each check up to that.

    Raises:
        ConfigError: when there are such, or limits that are no numbers of epochs.
    """
    trainer, trained = config["trainer"], record.last.epoch + 1 if record.last else 0
    for name in ("min_epochs", "max_epochs"):
        value = trainer.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < -1):
            raise ConfigError("it must be a whole number of epochs, or null", key=f"trainer.{name}", received=value)
    most = trainer.get("max_epochs")
    if most is not None and -1 < most < trained:
        raise ConfigError(
            f"it must be at least the {trained} epochs that were trained already",
            key="trainer.max_epochs",
            received=most,
        )
    if most is not None and -1 < most < (trainer.get("min_epochs") or 0):
        raise ConfigError("it must not be above max_epochs", key="trainer.min_epochs", received=trainer["min_epochs"])
    epoch = _first_stop(policy_of(config), checks)
    stopped_there = record.stopping is not None and record.stopping.stopped_epoch is not None
    if epoch is not None and not (stopped_there and epoch == len(checks) - 1):
        raise ConfigError(
            f"with these settings the training would have stopped in epoch {checks[epoch][0]} already, and it is past "
            "that",
            received=str(config["callbacks"]["early_stopping"]),
            remedy="Train anew with `keepbest train`",
        )


def _first_stop(policy: StoppingPolicy | None, checks: Sequence[tuple[int, SupportsFloat]]) -> int | None:
    """Return the number of the check, from 0, at which a policy stops; None when it does not."""
    state = policy.start() if policy else None
    stops = (state.update(value, epoch).stop for epoch, value in checks) if state else iter(())
    return next((number for number, stop in enumerate(stops) if stop), None)


def _checks_of(run_dir: Path, last: LastCheckpoint) -> list[tuple[int, SupportsFloat]]:
    """Return epoch and value of the checks up to the last checkpoint, in their own precision."""
    from keepbest.callbacks.history import checks_in
    from keepbest.checkpoints.loading import read_checkpoint

    checks = checks_in(read_checkpoint(run_dir / last.path, last.sha256))
    return [(check.epoch, check.value) for check in checks]


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
        metrics_sha256=None,
    )
