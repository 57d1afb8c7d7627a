"""The stopping settings that histories were trained with: what a replay keeps of them, and how to train like it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from keepbest.stopping.comparison import Mode
from keepbest.stopping.policy import StoppingPolicy
from keepbest.stopping.policy_grid import AXES

Recorded = Literal["recorded"]
KEPT = ("baseline", "start_from_epoch", "stopping_threshold", "divergence_threshold", "check_finite")
_OF_THE_METRIC = frozenset({"baseline", "stopping_threshold", "divergence_threshold"})  # in its units
_ALWAYS = AXES[:2]
_ENTRY, _PRESET = "callbacks.early_stopping", "callbacks/early_stopping"
SWITCHED_ON = f"{_PRESET}=simple"
"""The override that gives a training without early stopping one."""
_DEFAULTS = {name: StoppingPolicy().as_dict()[name] for name in KEPT}


@dataclass(frozen=True)
class RecordedStopping:
    """What the early stopping of one history or several was set to, apart from its patience and min_delta.

    Args:
        settings: by name, of `KEPT`; those of `StoppingPolicy` where nothing is recorded.
        unclear: settings in which the histories, or the jobs that share one, differ.
        needed: overrides without which a training has not the early stopping that was replayed.
    """

    settings: Mapping[str, Any] = field(default_factory=lambda: dict(_DEFAULTS))
    unclear: frozenset[str] = frozenset()
    needed: tuple[str, ...] = ()

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings by name, with what is recorded in place of those that are "recorded"."""
        return {name: self.settings[name] if _is_recorded(value) else value for name, value in given.items()}

    def noteworthy(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the given settings that are "recorded", and not the defaults of `StoppingPolicy`."""
        recorded = {name: self.settings[name] for name, value in given.items() if _is_recorded(value)}
        return {name: value for name, value in recorded.items() if value != _DEFAULTS[name]}

    def overrides_for(self, policy: StoppingPolicy) -> list[str]:
        """Return the overrides that turn what the histories were trained with into a training with another policy."""
        settings = policy.as_dict()
        differing = [name for name in KEPT if name in self.unclear or settings[name] != self.settings[name]]
        shown = {name: settings[name] for name in (*_ALWAYS, *differing)}
        return [*self.needed, *(f"{_ENTRY}.{name}={_in_yaml(value)}" for name, value in shown.items())]


def recorded_stopping(
    config: Mapping[str, Any], mode: Mode, needed: Sequence[str], *, own_metric: bool
) -> RecordedStopping:
    """Return what the config of a run says of its early stopping.

    Args:
        config: of the run.
        mode: of the run's objective.
        needed: overrides that another policy needs in any case.
        own_metric: whether what is replayed is the run's objective, in whose units thresholds are.
    """
    entry = stopping_entry(config)
    if entry is None:
        return RecordedStopping(needed=(SWITCHED_ON, *needed))
    names = [name for name in KEPT if name in entry and (own_metric or name not in _OF_THE_METRIC)]
    given = StoppingPolicy(mode=mode, **{name: entry[name] for name in names}).as_dict()
    hidden = frozenset() if own_metric else _OF_THE_METRIC & entry.keys()
    unclear = frozenset(name for name in hidden if entry[name] is not None)
    return RecordedStopping({name: given[name] for name in KEPT}, unclear, tuple(needed))


def unknown_stopping(needed: Sequence[str]) -> RecordedStopping:
    """Return that of a training of which nothing says how its early stopping was set: all settings are unclear."""
    return RecordedStopping(unclear=frozenset(KEPT), needed=(SWITCHED_ON, *needed))


def stopping_entry(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the settings of the early stopping in a config; None where it was off."""
    callbacks = config.get("callbacks")
    entry = callbacks.get("early_stopping") if isinstance(callbacks, Mapping) else None
    return entry if isinstance(entry, Mapping) else None


def common_stopping(recorded: Iterable[RecordedStopping]) -> RecordedStopping:
    """Return what several histories have in common; what differs is unclear, and has the default in its place."""
    parts = list(recorded)
    needed = tuple(dict.fromkeys(override for part in parts for override in part.needed))
    values = {name: [part.settings[name] for part in parts] for name in KEPT}
    differing = {name for name, found in values.items() if any(value != found[0] for value in found)}
    unclear = differing.union(*(part.unclear for part in parts))
    settings = {name: _DEFAULTS[name] if name in unclear else parts[0].settings[name] for name in KEPT}
    return RecordedStopping(settings, frozenset(unclear), needed)


def is_of_stopping(key: str) -> bool:
    """Return whether the key of an override is early stopping's."""
    return key.startswith((_ENTRY, _PRESET))


def _in_yaml(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _is_recorded(value: Any) -> bool:
    return isinstance(value, str) and value == "recorded"
