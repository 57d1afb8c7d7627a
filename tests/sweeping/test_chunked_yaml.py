"""Entry by entry, the YAML is what OmegaConf writes of the whole."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from keepbest.sweeping.chunked_yaml import ChunkedYaml, to_yaml

LONG = " ".join(["a text that is longer than a line"] * 9)
CONTENT = {
    "plain": 1,
    "on": {"null": {"1": {"a key: of unusual signs": LONG, 7: "seven"}}},
    "text": {"long": LONG, "lines": "one\n\n two \n", "spaces": "  ", "odd": "\u2028\x07\ttab: # -", "number": "1e-4"},
    "list": [1, [2.5, {"a": None}], [], {}],
    "empty": {},
    "numbers": {"inf": float("inf"), "nan": float("nan"), "small": 1e-4, "yes": True},
    "other": {"path": Path("a b/c"), "bytes": b"\x00\xff" * 60},
    "?" + 130 * "k": {"below": {"a": 1}},
}


def as_omegaconf(content: Any) -> str:
    return OmegaConf.to_yaml(OmegaConf.create(content))


def changed(content: Any, changes: dict[tuple[Any, ...], Any]) -> Any:
    content = copy.deepcopy(content)
    for path, value in changes.items():
        node = content
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
    return content


CHANGES: dict[str, dict[tuple[Any, ...], Any]] = {
    "nothing": {},
    "at the top": {("plain",): "two"},
    "deep": {("on", "null", "1", "a key: of unusual signs"): f"{LONG} again", ("on", "null", "1", 7): None},
    "a whole mapping": {("text",): {"a": [1, {"b": LONG}]}, ("numbers", "nan"): float("-inf")},
    "a text": {("text", "lines"): "it's\n\n  something: else\n", ("text", "spaces"): ""},
    "to empty ones": {("list",): [], ("text",): {}},
    "beside an unusual key": {("other", "bytes"): b"\x01", ("other", "path"): Path("d")},
    "what needs quotes": {("plain",): "null", ("text", "odd"): "- a"},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_changes_stand_where_they_would(changes):
    assert ChunkedYaml(CONTENT).text(changes) == as_omegaconf(changed(CONTENT, changes))


def test_what_was_written_before_does_not_matter():
    chunked = ChunkedYaml(CONTENT)
    for changes in [*CHANGES.values(), *reversed(CHANGES.values())]:
        assert chunked.text(changes) == as_omegaconf(changed(CONTENT, changes))


def test_nothing_at_all():
    assert ChunkedYaml({}).text({}) == as_omegaconf({})


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=120).filter(lambda text: "$" not in text)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
KEYS = st.sampled_from(["a", "null", "on", "early_stopping"]) | TEXT | st.integers()
TREES = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
MAPPINGS = st.dictionaries(KEYS, TREES, min_size=1, max_size=5)


def paths_of(node: Any) -> list[tuple[Any, ...]]:
    if not isinstance(node, dict):
        return []
    below = {key: paths_of(value) if str(key).isidentifier() else [] for key, value in node.items()}
    return [path for key in node for path in [(key,), *((key, *rest) for rest in below[key])]]


@settings(max_examples=100, deadline=None)
@given(data=st.data(), content=MAPPINGS)
def test_whatever_the_content_and_the_change(data, content):
    path = data.draw(st.sampled_from(paths_of(content)))
    changes = {path: data.draw(TREES)}
    try:
        expected = as_omegaconf(changed(content, changes))
    except (OmegaConfBaseException, yaml.YAMLError, ValueError):
        return  # OmegaConf has no such content
    assert to_yaml(changed(content, changes)) == expected
    chunked = ChunkedYaml(content)
    assert chunked.text({}) == as_omegaconf(content)
    assert chunked.text(changes) == expected
