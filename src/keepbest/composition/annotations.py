"""Whether a plain value from a config can be meant for an argument of a given annotation."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

_SCALARS = (bool, int, float, str)
_SEQUENCES = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection, set, frozenset)


def annotations_of(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a target's arguments; none where they name what only a type checker imports."""
    try:
        return typing.get_type_hints(inspect.getattr_static(target, "__init__") if isinstance(target, type) else target)
    except Exception:  # noqa: BLE001 - resolving a name may run into anything
        return {}


def admits(annotation: Any, value: Any) -> bool:
    """Return whether a value fits an annotation, as far as plain values can tell.

    Lists stand for every kind of sequence, whole numbers for floats too. Annotations that are not about plain values
    (a path, an enum, a class of the user's) admit everything: their targets convert for themselves. So does a mapping,
    which may be a node from which an object is still to be made.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any or isinstance(value, Mapping):
        return True
    if annotation is None or annotation is type(None):
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(admits(argument, value) for argument in arguments)
    if origin is typing.Annotated:
        return admits(arguments[0], value)
    if origin is typing.Literal:
        return value in arguments
    if (origin or annotation) is collections.abc.Callable:
        return False  # a callable is a node with _partial_, never a plain value
    if annotation in _SCALARS:
        return _is_scalar(annotation, value)
    if (origin or annotation) is tuple:
        return _fits_tuple(arguments, value)
    if (origin or annotation) in _SEQUENCES:
        return isinstance(value, list) and all(admits(argument, item) for argument in arguments for item in value)
    return True


def show(annotation: Any) -> str:
    """Return an annotation as a person would write it."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("NoneType", "None")


def _is_scalar(kind: type, value: Any) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _fits_tuple(arguments: tuple[Any, ...], value: Any) -> bool:
    if not isinstance(value, list):
        return False
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return all(admits(arguments[0], item) for item in value)
    return not arguments or (len(arguments) == len(value) and all(map(admits, arguments, value)))
