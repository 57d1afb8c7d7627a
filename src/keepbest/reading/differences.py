"""Configs side by side: their values by dotted key, and the keys in which they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any


class Absent(Enum):
    """Stands where a config does not have a key: something else than null."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return self.value


ABSENT = Absent.ABSENT


def flattened(config: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the values of nested mappings by dotted key. A list is one value, and so is an empty mapping."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            values.update((f"{key}.{rest}", inner) for rest, inner in flattened(value).items())
        else:
            values[str(key)] = value
    return values


def differences(configs: Sequence[Mapping[Any, Any]]) -> dict[str, list[Any]]:
    """Return the values of the keys in which configs differ, one for each config.

    A key that a config does not have is `ABSENT` there. Numbers are compared by value (0 and 0.0 are the same), truth
    values are no numbers, and NaN equals NaN.

    Args:
        configs: nested mappings.

    Returns:
        The values by dotted key, the keys in the order in which the configs have them.
    """
    flat = [flattened(config) for config in configs]
    found = {key: [values.get(key, ABSENT) for values in flat] for key in _in_order(flat)}
    return {key: values for key, values in found.items() if not all(same(values[0], value) for value in values[1:])}


def same(one: Any, other: Any) -> bool:
    """Return whether two values of a config mean the same."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - NaN


def _in_order(flat: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all keys; one that only later configs have comes behind the key that it follows there."""
    keys: list[str] = []
    for values in flat:
        known, after, previous = set(keys), dict[str | None, list[str]](), None
        for key in values:
            if key in known:
                previous = key
            else:
                after.setdefault(previous, []).append(key)
        keys = [*after.get(None, ()), *(key for old in keys for key in (old, *after.get(old, ())))]
    return keys
