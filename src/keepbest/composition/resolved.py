"""The resolved config: plain containers, without interpolations, in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from keepbest.errors import ConfigError, RecordError
from keepbest.records.atomic import write_text

CONFIG_FILE = "config.yaml"
PlainConfig = dict[str, Any]


def resolve(config: DictConfig) -> PlainConfig:
    """Return the config as plain containers with every interpolation replaced by its value.

    Raises:
        ConfigError: for a mandatory value (`???`) that was not given, or an interpolation that leads nowhere.
    """
    try:
        return cast(
            "PlainConfig", OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
        )
    except MissingMandatoryValue as error:
        key = error.full_key or str(error.key)
        raise ConfigError("a value must be given", key=key, remedy=f"Add {key}=... to the command") from error
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"its value cannot be resolved: {reason}", key=error.full_key) from error


def write_config(job_dir: Path, config: PlainConfig) -> None:
    """Write `config.yaml` into a job directory."""
    write_text(job_dir / CONFIG_FILE, config_text(config))


def config_text(config: PlainConfig) -> str:
    """Return a resolved config as `config.yaml` has it."""
    return "".join(_section(name, repr(content), content) for name, content in config.items()) or "{}\n"


def _section(name: str, key: str, content: Any) -> str:
    """Return one section; the configs of a sweep have most of them in common, and writing YAML is slow."""
    if (name, key) not in _SECTIONS:
        if len(_SECTIONS) > _MOST_SECTIONS:
            _SECTIONS.clear()
        _SECTIONS[name, key] = yaml.dump({name: content}, Dumper=_PlainDumper, allow_unicode=True, sort_keys=False)
    return _SECTIONS[name, key]


_SECTIONS: dict[tuple[str, str], str] = {}
_MOST_SECTIONS = 1000


def read_config(job_dir: Path) -> PlainConfig:
    """Read `config.yaml` as plain containers. Nothing in it is interpolated: text that looks like it stays text.

    Raises:
        RecordError: when the directory has none, or holds something else.
    """
    path = job_dir / CONFIG_FILE
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    except FileNotFoundError:
        raise RecordError(f"a job directory must hold {CONFIG_FILE}, {str(job_dir)!r} does not.") from None
    except (OSError, yaml.YAMLError, ValueError, LookupError) as error:  # the last two for `!!int x` and `!!bool x`
        raise RecordError(f"{path} cannot be read as a config: {str(error)[:_LONGEST_MESSAGE]}") from error
    if not isinstance(config, dict):
        raise RecordError(f"{path} must hold a mapping.")
    return config


class _PlainLoader(yaml.SafeLoader):
    """Reads what `_PlainDumper` writes, within bounds.

    What that never writes is refused: aliases and merged mappings, repeated keys, tags of other things than text,
    numbers and containers. So is what would take minutes or exhaust the stack: deep nesting, more nodes than a config
    has, numbers of thousands of digits.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it must not hold aliases")
        self._depth, self._nodes = self._depth + 1, self._nodes + 1
        if self._depth > _DEEPEST or self._nodes > _MOST_NODES:
            raise yaml.YAMLError(f"it must not hold more than {_MOST_NODES} nodes, or {_DEEPEST} inside each other")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise yaml.YAMLError(f"it must not hold a number of {len(node.value)} digits")
        return super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):  # `!!map [a]`
            raise yaml.YAMLError("it must not call a mapping what is none")
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise yaml.YAMLError("a key must be a plain value")
            if key.value in keys:
                raise yaml.YAMLError(f"found duplicate key {key.value}")
            keys.add(key.value)
        return super().construct_mapping(node, deep)


_DEEPEST, _MOST_NODES, _LONGEST_NUMBER = 64, 50_000, 100
_LONGEST_MESSAGE = 500
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_PLAIN_TAGS = ("null", "bool", "int", "float", "str", "binary", "seq", "map")
_PlainLoader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix("tag:yaml.org,2002:") in _PLAIN_TAGS
}


class _PlainDumper(yaml.SafeDumper):
    """Quotes every text that this loader, or OmegaConf's, could take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = text.isprintable() and (text[:1].isalpha() or text[:1] in ("_", "/"))
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_PlainDumper.add_representer(str, _represent_text)
