"""Rules for the settings of data modules, checked in their constructors."""

from __future__ import annotations

from collections.abc import Mapping

from keepbest.errors import ConfigError


def check_integer(name: str, value: object, minimum: int) -> None:
    """Raise ConfigError unless the value is an integer of at least the minimum."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        rule = f"{name} must be an integer of at least {minimum}"
        raise ConfigError(rule, received=value, remedy=f"Set data.{name} to {minimum} or more")


def check_text(name: str, value: object) -> None:
    """Raise ConfigError unless the value is a string with something in it."""
    if not isinstance(value, str) or not value:
        rule = f"{name} must be a string, not empty"
        raise ConfigError(rule, received=value, remedy=f"Set data.{name}, in quotes if it looks like a number")


def check_fractions(fractions: Mapping[str, object]) -> None:
    """Raise ConfigError unless each value, by setting, is above 0 and all together stay below 1."""
    total = 0.0
    for name, value in fractions.items():
        if not isinstance(value, float) or not 0 < value < 1:
            rule = f"{name} must be a fraction between 0 and 1, both excluded"
            raise ConfigError(rule, received=value, remedy=f"Set for example data.{name}=0.2")
        total += value
    if total >= 1:
        rule = f"{' and '.join(fractions)} must sum to less than 1, so that training samples remain"
        raise ConfigError(rule, received=total, remedy="Lower one of them")
