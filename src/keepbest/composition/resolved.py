"""The resolved config: plain containers, without interpolations, in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

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
    write_text(job_dir / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.create(config)))


def read_config(job_dir: Path) -> PlainConfig:
    """Read `config.yaml` as plain containers. Nothing in it is interpolated: text that looks like it stays text.

    Raises:
        RecordError: when the directory has none, or holds something else.
    """
    path = job_dir / CONFIG_FILE
    try:
        config = OmegaConf.load(path)
    except FileNotFoundError:
        raise RecordError(f"a job directory must hold {CONFIG_FILE}, {str(job_dir)!r} does not.") from None
    except (OSError, YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read as a config: {error}") from error
    if not isinstance(config, DictConfig):
        raise RecordError(f"{path} must hold a mapping.")
    return cast("PlainConfig", OmegaConf.to_container(config, resolve=False))
