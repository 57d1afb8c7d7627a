"""Whether an interpolation in a config may read a value that differs from job to job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

_SIMPLE = re.compile(r"\$\{([^${}]*)\}")
_PATH = re.compile(r"[\w.\[\]/-]+")
_FIXED = ("now:", "launch_id:", "python_version:", "oc.env:")
"""Resolvers that give every job of a sweep the same, by the names of Hydra, OmegaConf and keepbest."""


def may_read(config: Any, keys: Iterable[str]) -> bool:
    """Return whether any interpolation may read one of the keys.

    True also for everything that cannot be told by looking at it: relative and nested interpolations, other resolvers.

    Args:
        config: of OmegaConf, or a text.
        keys: dotted paths.
    """
    wanted = list(keys)
    plain = OmegaConf.to_container(config, resolve=False) if OmegaConf.is_config(config) else config
    return any(_reads(text, wanted) for text in _texts(plain))


def is_fixed(config: Any) -> bool:
    """Return whether a config, or a text, says the same in every job: it has no interpolations, or fixed ones."""
    return not may_read(config, [""])


def leads_elsewhere(config: DictConfig, key: str) -> bool:
    """Return whether a dotted path may pass through an interpolation: then an override sets a value of another path."""
    node: Any = config
    for part in key.split(".")[:-1]:
        if OmegaConf.is_list(node):
            return True
        if not OmegaConf.is_dict(node) or part not in node.keys():  # noqa: SIM118 - `in` resolves what it looks at
            return False
        if OmegaConf.is_interpolation(node, part):
            return True
        node = None if OmegaConf.is_missing(node, part) else node[part]
    return False


def _reads(text: str, keys: list[str]) -> bool:
    for inner in _SIMPLE.findall(text):
        reference = inner.strip()
        if reference.startswith(_FIXED):
            continue
        if not _PATH.fullmatch(reference) or reference.startswith("."):
            return True
        path = reference.replace("[", ".").replace("]", "").lstrip(".")
        if any(_overlap(path, key) for key in keys):
            return True
    return "${" in _SIMPLE.sub("", text)


def _overlap(one: str, other: str) -> bool:
    return not other or f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for item in node.values():
            yield from _texts(item)
    elif isinstance(node, list):
        for item in node:
            yield from _texts(item)
    elif isinstance(node, str) and "${" in node:
        yield node
