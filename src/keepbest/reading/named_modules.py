"""The modules that whoever opens a run lets its config name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Sequence

from keepbest.errors import ConfigError, did_you_mean


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


def require_found(modules: Iterable[str], wanted: Iterable[str]) -> None:
    """Refuse a module that is not here; none is imported for it, so that only the first name of a path is looked at.

    Args:
        modules: names, as they were given.
        wanted: those that the run's config needs beside them.

    Raises:
        ConfigError: for the first that is not found.
    """
    for name in modules:
        top = name.partition(".")[0]
        if not _is_found(top):
            near = did_you_mean(name, wanted)
            remedy = near or f"Install it, or work in the directory that holds {top}.py"
            raise ConfigError("modules must be ones that can be imported here", received=name, remedy=remedy)


def _is_found(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # what is no name of a module
        return False
