"""YAML of a mapping of which little changes from one time to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from omegaconf._utils import get_omega_conf_dumper

Path = tuple[str, ...]


class ChunkedYaml:
    """Writes a mapping as `OmegaConf.to_yaml` does, entry by entry; only what changes is written anew.

    Args:
        content: plain containers.
    """

    def __init__(self, content: Mapping[Any, Any]) -> None:
        self._content = content
        self._known: dict[Path, str] = {}
        self._heads: dict[Path, str] = {}

    def text(self, changes: Mapping[Path, Any]) -> str:
        """Return the YAML of the mapping with other values.

        Args:
            changes: the values, by the keys that lead to them: these exist, and are neither empty nor longer than a
                line.
        """
        leading = {path[:depth] for path in changes for depth in range(1, len(path))}
        return self._write(self._content, (), changes, leading) or "{}\n"

    def _write(self, node: Mapping[Any, Any], above: Path, changes: Mapping[Path, Any], leading: set[Path]) -> str:
        return "".join(self._entry(value, (*above, key), changes, leading) for key, value in node.items())

    def _entry(self, value: Any, path: Path, changes: Mapping[Path, Any], leading: set[Path]) -> str:
        if path in changes:
            return _yaml(path, changes[path])
        if path in leading:
            return self._head(path) + self._write(value, path, changes, leading)
        if path not in self._known:
            self._known[path] = _yaml(path, value)
        return self._known[path]

    def _head(self, path: Path) -> str:
        """Return the line of a key under which something changes."""
        if path not in self._heads:
            self._heads[path] = _yaml(path, {"below": None}).partition("\n")[0] + "\n"
        return self._heads[path]


def to_yaml(content: Any) -> str:
    """Return the YAML of plain containers, as `OmegaConf.to_yaml` would once they were made a config."""
    dumper = get_omega_conf_dumper()
    text: str = yaml.dump(content, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=dumper)
    return text


def _yaml(path: Path, value: Any) -> str:
    """Return an entry as it stands at its depth: how long texts are broken into lines depends on it."""
    *above, key = path
    entry = {key: value}
    for _ in above:
        entry = {"above": entry}
    text = to_yaml(entry)
    for _ in above:
        text = text.partition("\n")[2]
    return text
