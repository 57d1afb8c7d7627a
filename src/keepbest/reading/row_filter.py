"""Conditions on rows, such as `patience>=5 and status=='completed'`.

A condition is parsed as Python and then walked: comparisons, `and`, `or`, `not`, names, numbers, texts and lists. There
is nothing else in it, and nothing is evaluated by Python, so that neither a condition nor a value can call anything.
(`DataFrame.query` evaluates more than that, and takes no dotted names.)
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keepbest.errors import ConfigError
from keepbest.reading.choices import NullOption
from keepbest.reading.moments import Moment
from keepbest.reading.words import Word, require_known

Lookup = Callable[[str], Any]
"""Returns the value that a row has for a name; None for what did not happen."""

_Part = Callable[[Lookup], Any]
_LONGEST = 2000  # characters of a condition
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "none": None}
_ORDERS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_TEXT_OR_QUOTED_NAME = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`([^`]*)`")
_QUOTED_NAME = "quoted_name_{}_"
_EXAMPLE = "Write it as \"patience>=5 and status=='completed'\""


class RowFilter:
    """A condition that a row meets or does not.

    A comparison with what a row lacks (None, and NaN) is false, whatever it is compared by; `x is null` and
    `x is not null` ask for it. Numbers are compared with numbers, texts with texts: a comparison by size of anything
    else is false. A time is compared with a text as far as that is written. A word, such as a reason, equals a text
    that is written as it is printed, too; the status of a sweep equals that of each of its jobs, so that == and in ask
    whether any job has it, != and not in whether none has. A name alone is true where the value is `true`.

    Args:
        text: the condition. A name may have dots and slashes (`model.optimizer.lr`, `model/optimizer`); one that Python
            could not read stands in backquotes (`` `my-key` ``).

    Attributes:
        names: what the condition asks a row for, in its order.

    Raises:
        ConfigError: for what is no such condition.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ConfigError("a condition must be a text", received=text, remedy=_EXAMPLE)
        self._text, self._quoted = text, dict[str, str]()
        self._bare: list[str] = []
        self._compared: list[tuple[str, list[Any]]] = []
        self.names: list[str] = []
        if len(text) > _LONGEST:
            raise ConfigError(f"a condition must have at most {_LONGEST} characters", received=len(text))
        try:
            tree = ast.parse(_TEXT_OR_QUOTED_NAME.sub(self._plain_name, text).strip(), mode="eval")
            self._part = self._condition(tree.body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
            raise ConfigError(f"a condition must be one that Python could read: {reason}", received=text,
                              remedy=_EXAMPLE) from None  # fmt: skip
        self.names = list(dict.fromkeys(self.names))

    def matches(self, lookup: Lookup) -> bool:
        """Return whether a row meets the condition."""
        return bool(self._part(lookup))

    def require_sense(self, values: Mapping[str, Sequence[Any]]) -> None:
        """Refuse what no row can meet.

        That is a name alone that is never true or false, a number compared with texts only, and a column of few words
        compared with another.

        Args:
            values: those of all rows by name.

        Raises:
            ConfigError: saying which.
        """
        there = {name: [value for value in found if not _is_missing(value)] for name, found in values.items()}
        for name in self._bare:
            if there[name] and not any(isinstance(value, bool) for value in there[name]):
                raise ConfigError("a name alone must be true or false in a run; compare it with something",
                                  received=name, remedy=_EXAMPLE)  # fmt: skip
        for name, literals in self._compared:
            found = there[name]
            require_known(name, literals, found)
            if found and all(map(_is_number, found)) and all(isinstance(item, str) for item in literals):
                raise ConfigError(f"{name} is a number in every run, and is compared with numbers",
                                  received=literals[0], remedy="Write a number, without quotes")  # fmt: skip
            if found and all(isinstance(value, str) for value in found) and all(map(_is_number, literals)):
                raise ConfigError(f"{name} is a text in every run, and is compared with texts",
                                  received=literals[0], remedy="Write it in quotes")  # fmt: skip

    def _plain_name(self, found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        name = _QUOTED_NAME.format(len(self._quoted))
        self._quoted[name] = found[1]
        return f" {name} "

    def _condition(self, node: ast.expr) -> _Part:
        """Return what tells whether a part of the condition holds."""
        if isinstance(node, ast.BoolOp):
            parts = [self._condition(value) for value in node.values]
            every = all if isinstance(node.op, ast.And) else any
            return lambda lookup: every(part(lookup) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            part = self._condition(node.operand)
            return lambda lookup: not part(lookup)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        value = self._value(node)
        if self._is_name(node):
            self._bare.append(self._name(node))
            return lambda lookup: value(lookup) is True
        raise self._refusal(node, "where something must be compared")

    def _comparison(self, node: ast.Compare) -> _Part:
        nodes = [node.left, *node.comparators]
        values = [self._value(part) for part in nodes]
        steps = [self._step(kind, right) for kind, right in zip(node.ops, node.comparators, strict=True)]
        for kind, left, right in zip(node.ops, nodes, node.comparators, strict=False):
            self._note_compared(kind, left, right)

        def holds(lookup: Lookup) -> bool:
            found = [value(lookup) for value in values]
            return all(step(found[place], found[place + 1]) for place, step in enumerate(steps))

        return holds

    def _note_compared(self, kind: ast.cmpop, left: ast.expr, right: ast.expr) -> None:
        """Keep what a name is compared with, for `require_sense`."""
        name, other = (left, right) if self._is_name(left) else (right, left)
        if isinstance(kind, (ast.Is, ast.IsNot)) or not self._is_name(name) or self._is_name(other):
            return
        literal = self._literal(other)
        if not isinstance(kind, (ast.In, ast.NotIn)):
            self._compared.append((self._name(name), [literal]))
        elif isinstance(literal, list) and literal and name is left:
            self._compared.append((self._name(name), literal))

    def _step(self, kind: ast.cmpop, right: ast.expr) -> Callable[[Any, Any], bool]:
        is_null = isinstance(right, (ast.Constant, ast.Name)) and _constant(right) is None
        if isinstance(kind, (ast.Is, ast.IsNot)):
            if not is_null:
                raise self._refusal(right, "behind `is`, which is for null")
            wanted = isinstance(kind, ast.Is)
            return lambda one, _: (_is_missing(one) or isinstance(one, NullOption)) is wanted
        if is_null:
            raise self._refusal(right, "in a comparison, which is false for what did not happen; `is null` asks for it")
        if isinstance(kind, (ast.In, ast.NotIn)):
            wanted = isinstance(kind, ast.In)
            if not self._is_name(right) and not isinstance(self._literal(right), (list, str)):
                raise self._refusal(right, "behind `in`, which is for lists and texts")
            return lambda one, other: _is_among(one, other, wanted)
        if isinstance(kind, (ast.Eq, ast.NotEq)):
            wanted = isinstance(kind, ast.Eq)
            return lambda one, other: not _lacks(one, other) and _equal(one, other) is wanted
        order = _ORDERS[type(kind)]
        return lambda one, other: (
            not _lacks(one, other) and _comparable(one, other) and bool(order(*_alike_written(one, other)))
        )

    def _value(self, node: ast.expr) -> _Part:
        if self._is_name(node):
            name = self._name(node)
            self.names.append(name)
            return lambda lookup: lookup(name)
        constant = self._literal(node)
        return lambda _: constant

    def _is_name(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id.lower() not in _WORDS
        if isinstance(node, ast.BinOp):  # model/optimizer
            return isinstance(node.op, ast.Div) and self._is_name(node.left) and self._is_name(node.right)
        return isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute))

    def _name(self, node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return f"{self._name(node.value)}.{node.attr}"
        if isinstance(node, ast.BinOp) and self._is_name(node):
            return f"{self._name(node.left)}/{self._name(node.right)}"
        if isinstance(node, ast.Name):
            return self._quoted.get(node.id, node.id)
        raise self._refusal(node, "in front of a dot")

    def _literal(self, node: ast.expr) -> Any:
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return [self._literal(item) for item in node.elts]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            number = self._literal(node.operand)
            if _is_number(number):
                return -number if isinstance(node.op, ast.USub) else number
        constant = _constant(node)
        if constant is ...:
            raise self._refusal(node, "in it")
        return constant

    def _refusal(self, node: ast.expr, where: str) -> ConfigError:
        rule = "a condition compares names, numbers, texts and lists with and, or, not"
        shown = ast.unparse(node)
        for name, quoted in self._quoted.items():
            shown = shown.replace(name, f"`{quoted}`")
        text = f"{rule}; there must not be {shown[:100]!r} {where}"
        return ConfigError(text, received=self._text, remedy=_EXAMPLE)


def _constant(node: ast.expr) -> Any:
    """Return a value that stands in a condition; `...` where none does."""
    if isinstance(node, ast.Name):
        return _WORDS.get(node.id.lower(), ...)
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, (bool, int, float, str))):
        return node.value
    return ...


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _lacks(one: Any, other: Any) -> bool:
    return _is_missing(one) or _is_missing(other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _comparable(one: Any, other: Any) -> bool:
    return (_is_number(one) and _is_number(other)) or (isinstance(one, str) and isinstance(other, str))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, Word) or isinstance(other, Word):
        return not _written(one).isdisjoint(_written(other))
    if _comparable(one, other):
        one, other = _alike_written(one, other)
        return bool(one == other)
    return type(one) is type(other) and bool(one == other)


def _written(value: Any) -> frozenset[Any]:
    """Return what a value equals."""
    return value.written if isinstance(value, Word) else frozenset({value} if isinstance(value, str) else ())


def _alike_written(one: Any, other: Any) -> tuple[Any, Any]:
    """Return two values that are comparable; a time and a text in the same precision."""
    if isinstance(one, Moment) and not isinstance(other, Moment):
        return one.as_far_as(other)
    if isinstance(other, Moment) and not isinstance(one, Moment):
        moment, text = other.as_far_as(one)
        return text, moment
    return one, other


def _is_among(one: Any, other: Any, wanted: bool) -> bool:
    if _lacks(one, other):
        return False
    if isinstance(one, str) and isinstance(other, str):
        return any(text in whole for text in _written(one) for whole in _written(other)) is wanted
    return isinstance(other, list) and any(_equal(one, item) for item in other) is wanted
