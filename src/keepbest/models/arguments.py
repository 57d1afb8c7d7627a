"""What a model's arguments may be. Each function returns a plain value, which a checkpoint can hold, or raises."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from keepbest.errors import ConfigError


def positive_int(name: str, value: object) -> int:
    """Return the value as an int of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1", received=value)
    return int(value)


def positive_ints(name: str, values: object) -> list[int]:
    """Return the values, a list or any other sequence, as a list of ints of at least 1; it may be empty."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"{name} must be a list of whole numbers", received=values, remedy="Write it as [64,32]")
    return [positive_int(f"{name}[{position}]", value) for position, value in enumerate(values)]


def probability_below_one(name: str, value: object) -> float:
    """Return the value as a float of at least 0 and below 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ConfigError(f"{name} must be a number of at least 0 and below 1", received=value)
    return float(value)


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    """Return the value, which must be one of the choices."""
    if value not in choices:
        raise ConfigError(f"{name} must be {' or '.join(choices)}", received=value)
    return value
