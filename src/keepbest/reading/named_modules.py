"""The modules that whoever opens a run lets its config name."""

from __future__ import annotations

from collections.abc import Sequence

from keepbest.errors import ConfigError


def checked_modules(modules: Sequence[str]) -> tuple[str, ...]:
    """Return the names of modules.

    Raises:
        ConfigError: when they are none.
    """
    if isinstance(modules, str) or not all(isinstance(name, str) and name for name in modules):
        raise ConfigError(
            "modules must be a list of names", received=modules, remedy='Write it as modules=["my_module"]'
        )
    return tuple(modules)
