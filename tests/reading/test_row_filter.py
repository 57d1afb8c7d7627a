"""Conditions on rows: what they mean, what they refuse, and that Python evaluates nothing of them."""

from __future__ import annotations

import math
import operator
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepbest.errors import ConfigError
from keepbest.reading.row_filter import RowFilter

ROW = {
    "patience": 5, "status": "completed", "model.optimizer.lr": 1e-3, "model/optimizer": "sgd", "sizes": [512, 4],
    "none": None, "nan": math.nan, "amsgrad": True, "off": False, "name with 'quotes'": 1, "mapping": {"a": 1},
}  # fmt: skip
MEETS = {
    "patience>=5 and status=='completed'": True,
    "patience>5 or status!='failed'": True,
    "not patience==5": False,
    "1 < patience <= 5": True,
    "1 < patience < 5": False,
    "model.optimizer.lr == 0.001": True,
    "model/optimizer in ['sgd', \"adam\"]": True,
    "model/optimizer not in ('sgd',)": False,
    "`model/optimizer` == 'sgd'": True,
    "`name with 'quotes'` == 1": True,
    "sizes == [512, 4]": True,
    "512 in sizes": True,
    "patience == -5 or patience == +5": True,
    "'comp' in status": True,
    "status in 'completed, failed'": True,
    "amsgrad": True,
    "off": False,
    "not off": True,
    "patience": False,
    "amsgrad == true and off == False": True,
    "amsgrad == 1": False,
    "amsgrad != 1": True,
    "none is null": True,
    "none is not null": False,
    "nan is None": True,
    "patience is not null": True,
    "mapping is null": False,
    "mapping == 1": False,
    "patience < 'a'": False,
    "patience == '5'": False,
    "status == 'a`b'": False,
    "  patience == 5\n": True,
}


@pytest.mark.parametrize(("text", "meets"), MEETS.items())
def test_what_conditions_mean(text, meets):
    assert RowFilter(text).matches(ROW.get) is meets


@pytest.mark.parametrize("lacking", ["none", "nan"])
@pytest.mark.parametrize(
    "comparison", ["== 1", "!= 1", "< 1", ">= 1", "in [1]", "not in [1]", "== `none`", "!= nan", "not in sizes"]
)
def test_a_comparison_with_what_did_not_happen_is_false(lacking, comparison):
    text = f"`{lacking}` {comparison}"
    assert RowFilter(text).matches(ROW.get) is False
    assert RowFilter(f"not ({text})").matches(ROW.get) is True


def test_the_names_that_are_asked_for():
    assert RowFilter("a.b<1 and (c in [1] or `d e`=='x') and a.b>0 and true==f/g").names == ["a.b", "c", "d e", "f/g"]


REFUSED = {
    "a call": ("__import__('os').system('true')", "there must not be"),
    "a call of a value": ("status.upper()=='A'", "there must not be"),
    "an attribute of a literal": ("(1).__class__ == 2", "there must not be"),
    "a subscript": ("sizes[0]==512", "there must not be"),
    "a lambda": ("lambda: 1", "there must not be"),
    "a comprehension": ("[x for x in sizes] == []", "there must not be"),
    "arithmetic": ("patience + 1 == 6", "there must not be"),
    "arithmetic of names": ("patience * patience == 6", "there must not be"),
    "a division of numbers": ("patience / 2 == 6", "there must not be"),
    "an assignment": ("patience=5", "one that Python could read"),
    "a walrus": ("(patience := 5) == 5", "there must not be"),
    "an f-string": ("f'{status}' == 'x'", "there must not be"),
    "bytes": ("b'x' == status", "there must not be"),
    "a complex number": ("patience == 1j", "there must not be"),
    "a conditional": ("a if b else c", "there must not be"),
    "a value alone": ("5", "where something must be compared"),
    "null compared": ("patience == null", "`is null` asks for it"),
    "in, of a number": ("seed in 1", "behind `in`, which is for lists and texts"),
    "in, of a truth value": ("seed not in true", "behind `in`, which is for lists and texts"),
    "is, of something else": ("patience is 5", "behind `is`, which is for null"),
    "nothing": ("", "one that Python could read"),
    "half a condition": ("patience >=", "one that Python could read"),
    "an open quote": ("status == 'x", "one that Python could read"),
    "an open backquote": ("`a == 1", "one that Python could read"),
    "too long": ("a == 1 or " * 999 + "b", "at most 2000 characters"),
    "too deep": ("(" * 300 + "a" + ")" * 300, "one that Python could read"),
    "zero bytes": ("a == '\0'", "one that Python could read"),
    "a sum of minus signs": ("-" * 1500 + "x == 1", "a condition"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_condition_is_refused(text, reason):
    with pytest.raises(ConfigError, match="a condition") as refusal:
        RowFilter(text)
    assert reason in str(refusal.value)


def test_no_hook_of_python_sees_an_evaluation():
    """Neither a condition nor a value is compiled to code or called."""
    events = []
    sys.addaudithook(lambda name, args: events.append(name) if name in ("exec", "import") and watching else None)
    watching = True
    assert RowFilter("patience>=5 and status=='completed' or 'x' in status").matches(ROW.get)
    watching = False
    assert "exec" not in events


values = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=True, width=16) | st.text("ab", max_size=2)
)
OPERATORS = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def kind(value):
    return bool if isinstance(value, bool) else float if isinstance(value, (int, float)) else type(value)


def plainly(row, tree):
    """What a condition means, said another way: a tree of tuples."""
    head, *rest = tree
    if head == "and":
        return plainly(row, rest[0]) and plainly(row, rest[1])
    if head == "or":
        return plainly(row, rest[0]) or plainly(row, rest[1])
    if head == "not":
        return not plainly(row, rest[0])
    if head == "is null":
        value = row[rest[0]]
        return value is None or value != value
    if head == "in":
        name, items = rest
        return any(plainly(row, ("==", name, item)) for item in items)
    value, other = row[rest[0]], rest[1]
    if value is None or value != value or other != other:
        return False
    if kind(value) is not kind(other):
        return head == "!="
    if head in ("==", "!="):
        return OPERATORS[head](value, other)
    return kind(value) is not bool and OPERATORS[head](value, other)


def written(tree):
    head, *rest = tree
    if head in ("and", "or"):
        return f"({written(rest[0])}) {head} ({written(rest[1])})"
    if head == "not":
        return f"not ({written(rest[0])})"
    if head == "is null":
        return f"{rest[0]} is null"
    if head == "in":
        return f"{rest[0]} in {rest[1]!r}"
    return f"{rest[0]} {head} {rest[1]!r}"


names = st.sampled_from(["x", "y.z", "a/b"])
constants = st.booleans() | st.integers(-3, 3) | st.floats(-3, 3, width=16) | st.text("ab", max_size=2)
leaves = (
    st.tuples(st.sampled_from(list(OPERATORS)), names, constants)
    | st.tuples(st.just("is null"), names)
    | st.tuples(st.just("in"), names, st.lists(constants, max_size=3))
)
trees = st.recursive(
    leaves,
    lambda inner: st.tuples(st.sampled_from(["and", "or"]), inner, inner) | st.tuples(st.just("not"), inner),
    max_leaves=6,
)


@given(trees, st.fixed_dictionaries({"x": values, "y.z": values, "a/b": values}))
def test_a_condition_means_what_is_written(tree, row):
    text = written(tree)
    if len(text) <= 2000:
        assert RowFilter(text).matches(row.get) is plainly(row, tree)
