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
from collections.abc import Callable, Mapping
from typing import Any

from keepbest.errors import ConfigError

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
    else is false. A name alone is true where the value is `true`.

    Args:
        text: the condition. A name may have dots and slashes (`model.optimizer.lr`, `model/optimizer`); one that Python
            could not read stands in backquotes (`` `my-key` ``).

    Attributes:
        names: what the condition asks a row for, in its order.

    Raises:
        ConfigError: for what is no such condition.
    """

    def __init__(self, text: str) -> None:
        self._text, self._quoted = text, dict[str, str]()
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
            return lambda lookup: value(lookup) is True
        raise self._refusal(node, "where something must be compared")

    def _comparison(self, node: ast.Compare) -> _Part:
        nodes = [node.left, *node.comparators]
        values = [self._value(part) for part in nodes]
        steps = [self._step(kind, right) for kind, right in zip(node.ops, node.comparators, strict=True)]

        def holds(lookup: Lookup) -> bool:
            found = [value(lookup) for value in values]
            return all(step(found[place], found[place + 1]) for place, step in enumerate(steps))

        return holds

    def _step(self, kind: ast.cmpop, right: ast.expr) -> Callable[[Any, Any], bool]:
        is_null = isinstance(right, (ast.Constant, ast.Name)) and _constant(right) is None
        if isinstance(kind, (ast.Is, ast.IsNot)):
            if not is_null:
                raise self._refusal(right, "behind `is`, which is for null")
            wanted = isinstance(kind, ast.Is)
            return lambda one, _: _is_missing(one) is wanted
        if is_null:
            raise self._refusal(right, "in a comparison, which is false for what did not happen; `is null` asks for it")
        if isinstance(kind, (ast.In, ast.NotIn)):
            wanted = isinstance(kind, ast.In)
            return lambda one, other: _is_among(one, other, wanted)
        if isinstance(kind, (ast.Eq, ast.NotEq)):
            wanted = isinstance(kind, ast.Eq)
            return lambda one, other: not _lacks(one, other) and _equal(one, other) is wanted
        order = _ORDERS[type(kind)]
        return lambda one, other: not _lacks(one, other) and _comparable(one, other) and order(one, other)

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
    return (_comparable(one, other) or type(one) is type(other)) and bool(one == other)


def _is_among(one: Any, other: Any, wanted: bool) -> bool:
    if _lacks(one, other):
        return False
    if isinstance(one, str) and isinstance(other, str):
        return (one in other) is wanted
    return isinstance(other, list) and any(_equal(one, item) for item in other) is wanted
