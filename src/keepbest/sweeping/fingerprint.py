"""What jobs have in common that see the same training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from keepbest.stopping.policy import POLICY_SETTINGS

_TARGET = "_target_"
_TARGET_KEY = f"{_TARGET!r}:"
EARLY_STOPPING = "early_stopping"
STOPPERS = ("keepbest.EarlyStopping", "keepbest.callbacks.early_stopping.EarlyStopping")
"""The targets of `callbacks.early_stopping` that decide by a `StoppingPolicy`."""
MASKED = frozenset({*POLICY_SETTINGS, "verbose", "log_rank_zero_only"} - {"mode", "min_epochs"})
"""The settings of `callbacks.early_stopping` that nothing but the policy reads."""
OF_THE_OBJECTIVE = frozenset((_TARGET, "monitor", "mode"))
"""Its settings that say the same in every job of one objective; checks see to that."""
WATCH: Mapping[str, Any] = {"check_on_train_epoch_end": None, "strict": True}
"""The settings that decide which checks there are, with their defaults; they belong to the trajectory."""


def fingerprint_of(config: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> str:
    """Return the hash, 16 hexadecimal digits, of all that the training depends on.

    Args:
        config: resolved: a value elsewhere that was interpolated from a masked one is part of the hash.
        environment: the environment variables that are set for the job.
    """
    callbacks = dict(config.get("callbacks") or {})
    rest = _unmasked(callbacks.pop(EARLY_STOPPING, None))
    return _sha256_of({**config, "callbacks": callbacks}, rest, environment or {})[:16]


def config_hash(config: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> str:
    """Return the sha256 of a resolved config, and of the environment variables that are set for the job.

    The order of sections, and that of plain arguments of a `_target_`, does not matter. The order of what is made does:
    callbacks are called in it, and networks draw their weights in it.
    """
    return _sha256_of(config, environment) if environment else _sha256_of(config)


def watch_settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the early stopping's settings that decide which checks its policy sees."""
    node = (config.get("callbacks") or {}).get(EARLY_STOPPING) or {}
    return {name: node.get(name, default) for name, default in WATCH.items()}


def without_policy(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of the training that the members share: with no policy of its own."""
    return {**config, "callbacks": {**(config.get("callbacks") or {}), EARLY_STOPPING: None}}


def _unmasked(node: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what early stopping contributes to the trajectory; one that is off sees the usual checks."""
    if node and node.get(_TARGET) not in STOPPERS:
        return dict(node)
    rest = {name: value for name, value in (node or {}).items() if name not in MASKED | OF_THE_OBJECTIVE}
    return {"restore_best_weights": False, **WATCH, **rest}


def _sha256_of(*mappings: Mapping[str, Any]) -> str:
    texts = (",".join(sorted(_entries(mapping))) for mapping in mappings)
    return hashlib.sha256(";".join(texts).encode(errors="surrogatepass")).hexdigest()


def _canonical(value: Any) -> str:
    """Return a text that is the same for equal values of equal types: 1, 1.0, true and "1" are four values."""
    if isinstance(value, Mapping):
        entries = _entries(value)
        if _TARGET in value:  # its arguments are given by name
            plain = [entry for entry in entries if _TARGET_KEY not in entry]
            entries = [*sorted(plain), *(entry for entry in entries if _TARGET_KEY in entry)]
        return "{" + ",".join(entries) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return repr(value)


def _entries(value: Mapping[Any, Any]) -> list[str]:
    return [f"{key!r}:{_canonical(item)}" for key, item in value.items()]
