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


def differences(configs: Sequence[Mapping[Any, Any]]) -> dict[str, list[Any]]:
    """Return the values of the keys in which configs differ, one for each config.

    A key that a config does not have is `ABSENT` there. Numbers are compared by value (0 and 0.0 are the same), truth
    values are no numbers, and NaN equals NaN. A mapping that faces a value, such as null, is one difference; below it
    only mappings are compared with each other.

    Args:
        configs: nested mappings.

    Returns:
        The values by dotted key, the keys in the order in which the configs have them.
    """
    named = [{str(key): value for key, value in config.items()} for config in configs]
    found: dict[str, list[Any]] = {}
    for key in _in_order(named):
        found |= _differences_at(key, [config.get(key, ABSENT) for config in named])
    return found


def _differences_at(key: str, values: list[Any]) -> dict[str, list[Any]]:
    nested = [_is_nested(value) for value in values]
    faced = any(value is not ABSENT and not inner for value, inner in zip(values, nested, strict=True))
    found: dict[str, list[Any]] = {}
    if (faced or not any(nested)) and not all(same(values[0], value) for value in values[1:]):
        found[key] = values
    compared = [value if inner else {} for value, inner in zip(values, nested, strict=True) if inner or not faced]
    for name, below in (differences(compared) if any(nested) else {}).items():
        rest = iter(below)
        found[f"{key}.{name}"] = [next(rest) if inner or not faced else ABSENT for inner in nested]
    return found


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def same(one: Any, other: Any) -> bool:
    """Return whether two values of a config mean the same."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - NaN


def _in_order(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all keys; one that only later configs have comes behind the key that it follows there."""
    keys: list[str] = []
    for values in configs:
        known, after, previous = set(keys), dict[str | None, list[str]](), None
        for key in values:
            if key in known:
                previous = key
            else:
                after.setdefault(previous, []).append(key)
        keys = [*after.get(None, ()), *(key for old in keys for key in (old, *after.get(old, ())))]
    return keys
