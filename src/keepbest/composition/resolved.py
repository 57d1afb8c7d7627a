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
    write_text(job_dir / CONFIG_FILE, yaml.dump(config, Dumper=_PlainDumper, allow_unicode=True, sort_keys=False))


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
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read as a config: {error}") from error
    if not isinstance(config, dict):
        raise RecordError(f"{path} must hold a mapping.")
    return config


class _PlainLoader(yaml.SafeLoader):
    """Reads what `_PlainDumper` writes. Aliases and repeated keys, which it never writes, are refused."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it must not hold aliases")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"found duplicate key {key}")
        return super().construct_mapping(node, deep)


class _PlainDumper(yaml.SafeDumper):
    """Quotes every text that this loader, or OmegaConf's, could take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = text.isprintable() and (text[:1].isalpha() or text[:1] in ("_", "/"))
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_PlainDumper.add_representer(str, _represent_text)
