"""What a safe load would refuse, found when it is saved."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from pickle import PicklingError
from typing import IO, Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from keepbest.checkpoints.loading import first_line
from keepbest.errors import KeepbestError


class UnsafeError(Exception):
    """A file needs what no safe load provides; the text lists it."""


REFUSED = (UnsafeError, PicklingError, AttributeError, TypeError)
"""What saving raises: the first from `require_safe`, the others when something cannot even be pickled."""


def require_safe(file: Path | IO[bytes]) -> None:
    """Look for what a safe load would refuse in a file of torch.save, without loading it.

    Raises:
        UnsafeError: when there is any.
    """
    unsafe = get_unsafe_globals_in_checkpoint(file)
    if unsafe:
        raise UnsafeError(", ".join(sorted(unsafe)))


def refusal(states: Mapping[str, Any], error: Exception) -> KeepbestError:
    """Return an error that says where in the states the fault lies, and of what type it is.

    Args:
        states: the state of each part, by its name.
        error: one of `REFUSED`, raised when they were saved.
    """
    place, culprit = "", states
    while (inner := _first_refused(culprit)) is not None:
        key, culprit = inner
        place += f"[{key!r}]" if place else str(key)
    return KeepbestError(
        f"a checkpoint must hold only tensors and plain containers, {place or 'a part'} is a "
        f"{type(culprit).__module__}.{type(culprit).__qualname__} ({first_line(error)}). "
        "Let its state_dict return tensors, numbers, texts, lists and dicts."
    )


def _first_refused(value: Any) -> tuple[Any, Any] | None:
    """Return key and value of the first item of a container that a safe load refuses."""
    if isinstance(value, Mapping):
        items = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, (list, tuple)) else []
    return next((item for item in items if _is_refused(item[1])), None)


def _is_refused(value: Any) -> bool:
    file = io.BytesIO()
    try:
        torch.save(value, file)
        file.seek(0)
        require_safe(file)
    except REFUSED:
        return True
    return False
