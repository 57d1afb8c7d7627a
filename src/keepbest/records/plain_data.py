"""Dataclasses as plain data for JSON, and back, checked against their annotations."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal

from keepbest.errors import RecordError


def plain(value: Any) -> Any:
    """Return a dataclass as plain data; numbers that JSON lacks become "nan", "inf" and "-inf"."""
    if dataclasses.is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def build(kind: Any, value: Any, where: str) -> Any:
    """Turn plain data into `kind`: a dataclass, an enum, a union with None, a container or a scalar.

    Args:
        kind: a type, as an annotation gives it.
        value: what `plain` returned.
        where: the name of the value, for messages.

    Raises:
        RecordError: for a missing key or a value of the wrong type, naming it.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        return None if value is None else build(next(a for a in arguments if a is not type(None)), value, where)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if origin is Literal:
        return _expect(value in arguments, value, where, f"one of {', '.join(map(repr, arguments))}")
    if origin is dict:
        _expect(isinstance(value, dict), value, where, "a mapping")
        return {key: build(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is list:
        _expect(isinstance(value, list), value, where, "a list")
        return [build(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    if issubclass(kind, Enum):
        choices = [item.value for item in kind]
        return kind(_expect(value in choices, value, where, f"one of {', '.join(choices)}"))
    return _build_scalar(kind, value, where)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, Mapping), value, where, "a mapping")
    hints, required = _schema(kind)
    missing = [name for name in required if name not in value]
    if missing:
        raise RecordError(f"{where} must hold every key of the schema, missing: {', '.join(missing)}.")
    present = {name: hint for name, hint in hints.items() if name in value}
    return kind(**{name: build(hint, value[name], f"{where}.{name}") for name, hint in present.items()})


@functools.cache
def _schema(kind: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the types of a dataclass's fields, and the names that must be there: it takes long to find them out."""
    required = [item.name for item in dataclasses.fields(kind) if not item.metadata.get("may_be_missing")]
    return typing.get_type_hints(kind), tuple(required)


def _build_scalar(kind: type, value: Any, where: str) -> Any:
    if kind is float:
        if value in ("nan", "inf", "-inf"):
            return float(value)
        _expect(isinstance(value, (int, float)) and not isinstance(value, bool), value, where, "a number")
        try:
            return float(value)
        except OverflowError:
            raise RecordError(f"{where} must be a number that a float can hold, got a far larger one.") from None
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return _expect(fits, value, where, f"of type {kind.__name__}")


def _expect(holds: bool, value: Any, where: str, what: str) -> Any:
    if not holds:
        raise RecordError(f"{where} must be {what}, got {value!r}.")
    return value
