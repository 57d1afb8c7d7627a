"""The configs of many runs, read quickly: what they have in common is parsed once.

A section of a config that looks as keepbest writes it (no aliases, no tags, little nesting) is parsed in C; everything
else by `keepbest.composition.resolved.read_config`, which is slow and bounds what it accepts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from keepbest.errors import IntegrityError, RecordError
from keepbest.reading.run_files import LARGEST_CONFIG, require_file

_Config = dict[str, Any]
_SECTION = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
_UNUSUAL = re.compile(r"[&*!%]|<<|^[ \-?:\t]{81}|^[?.]", re.MULTILINE)
_MOST_FLOWS = 64
_MOST_DIGITS = 100


class ConfigReader:
    """Reads the `config.yaml` of runs, which may be anybody's; nothing is executed."""

    def __init__(self) -> None:
        self._sections: dict[str, _Config] = {}

    def read(self, directory: Path, sha256: str | None) -> _Config:
        """Return a run's config as plain containers. They may be shared with other configs: they are not to be changed.

        Args:
            directory: the run's, absolute and without links.
            sha256: the hash that its record holds; None where it holds none.

        Raises:
            RecordError: when there is no config, or something else.
            IntegrityError: when it is not the one that was recorded.
        """
        from keepbest.composition.resolved import CONFIG_FILE, read_config

        path = require_file(directory, CONFIG_FILE, LARGEST_CONFIG)
        try:
            content = path.read_bytes()
            text = content.decode()
        except (OSError, ValueError) as error:
            raise RecordError(f"{path} cannot be read as a config: {error}") from error
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise IntegrityError(f"a config must be the one that was recorded, {path} is not.")
        if text and not _UNUSUAL.search(text) and text.count("[") + text.count("{") <= _MOST_FLOWS:
            try:
                return dict(self._parsed(text))
            except (yaml.YAMLError, ValueError, LookupError, TypeError):
                pass  # the other reader says what is wrong, if it is
        return read_config(directory)

    def _parsed(self, text: str) -> Iterator[tuple[str, Any]]:
        seen = set()
        for part in filter(None, _SECTION.split(text)):
            if part not in self._sections:
                self._sections[part] = dict(yaml.load(part, Loader=_Loader))
            for key, value in self._sections[part].items():
                if key in seen:
                    raise ValueError("repeated key")
                seen.add(key)
                yield key, value


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # PyYAML may lack libyaml
    """Reads text, numbers and containers."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if len(set(keys)) < len(keys):
            raise ValueError("repeated key")
        return dict(super().construct_mapping(node, deep))

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        if len(node.value) > _MOST_DIGITS and not node.tag.endswith(":str"):
            raise ValueError("a number of many digits")
        return super().construct_scalar(node)


_TAGS = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix("tag:yaml.org,2002:") in _TAGS
}
