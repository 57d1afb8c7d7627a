"""Digests are equal for samples that are equal bit for bit, and for no others."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from keepbest.guards.sample_digests import UnhashableSampleError, digest

Pair = namedtuple("Pair", "x y")

EQUAL: dict[str, tuple[Any, Any]] = {
    "tensors": (torch.ones(2, 3), torch.ones(2, 3)),
    "a view and a copy": (torch.arange(6).reshape(2, 3).T, torch.arange(6).reshape(2, 3).T.contiguous()),
    "a tensor that wants gradients": (torch.ones(2), torch.ones(2, requires_grad=True)),
    "bfloat16": (torch.ones(3, dtype=torch.bfloat16), torch.ones(3, dtype=torch.bfloat16)),
    "a bfloat16 number": (torch.tensor(1, dtype=torch.bfloat16), torch.tensor(1, dtype=torch.bfloat16)),
    "arrays of two orders": (np.ones((2, 3)), np.asfortranarray(np.ones((2, 3)))),
    "NaNs": (torch.tensor([torch.nan]), torch.tensor([torch.nan])),
    "images": (Image.new("RGB", (2, 3), "red"), Image.new("RGB", (2, 3), "red")),
    "a list and a tuple": ([1, "a"], (1, "a")),
    "named tuples": (Pair(1, 2), Pair(1, 2)),
    "dicts of another order": ({"x": 1, "y": 2}, {"y": 2, "x": 1}),
    "a dict's subclass": ({"x": 1}, OrderedDict(x=1)),
    "keys of several types": ({1: 0, "1": 0}, {"1": 0, 1: 0}),
    "nested": ({"x": [torch.ones(1), (b"a", None)]}, {"x": [torch.ones(1), (b"a", None)]}),
    "numbers": ((1, 2.5, True, 1j), (1, 2.5, True, 1j)),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equal_samples_have_equal_digests(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)
    assert len(digest(one)) == 16


DIFFERENT: list[Any] = [
    torch.zeros(6), torch.zeros(2, 3), torch.zeros(3, 2), torch.zeros(6, dtype=torch.float64),
    torch.zeros(6, dtype=torch.int32), -torch.zeros(6), torch.zeros(6, dtype=torch.bfloat16),
    torch.ones(6, dtype=torch.bfloat16), np.zeros(6, np.float32), np.zeros(6, ">i4"), np.zeros(6, "<i4"),
    np.zeros(1, [("a", "i4"), ("b", "i4")]), np.zeros(1, [("a", "i4"), ("c", "i4")]), np.int64(0), np.float64(0),
    0, 1, 0.0, -0.0, False, None, 0j, "", "0", b"0", bytearray(b"00"), "0;", (), (0,), (0, 0), ((0,), 0), (0, (0,)),
    ("ab", "c"), ("a", "bc"), {}, {"a": 0}, {"b": 0}, {"a": 1}, {0: "a"}, [["a", 0]], 10**30, torch.tensor(0),
    Image.new("L", (2, 3)), Image.new("L", (3, 2)), Image.new("P", (2, 3)), Image.new("L", (2, 3), 1),
]  # fmt: skip


def test_whatever_differs_in_value_type_shape_or_structure_differs_in_its_digest() -> None:
    digests = [digest(sample) for sample in DIFFERENT]
    same = [(DIFFERENT[i], DIFFERENT[j]) for i, j in combinations(range(len(DIFFERENT)), 2) if digests[i] == digests[j]]
    assert same == []


UNHASHABLE: dict[str, Any] = {
    "an object": object(),
    "deep inside": {"x": [1, (object(),)]},
    "a set": {1, 2},
    "an array of objects": np.array([object()]),
    "a sparse tensor": torch.eye(2).to_sparse(),
    "a module": torch.nn.Linear(1, 1),
}


@pytest.mark.parametrize("sample", UNHASHABLE.values(), ids=UNHASHABLE)
def test_what_cannot_be_told_bit_for_bit_is_refused(sample: Any) -> None:
    with pytest.raises(UnhashableSampleError, match=r"^a sample holds an? .*, which cannot be compared$"):
        digest(sample)
