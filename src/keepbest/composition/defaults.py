"""What `train.yaml` composes to on this machine: by itself, and with the options that a run chose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from keepbest.composition.explain import COMPOSITION_ERRORS, explain_composition
from keepbest.composition.resolved import PlainConfig, resolve
from keepbest.composition.search_path import conf_dir, user_conf_first

_FIRST = ("experiment", "debug")
"""Groups whose options choose those of others."""

_NO_PART_OF_A_JOB = ("hydra", "sweep")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")


def default_config() -> PlainConfig:
    """Return the resolved config without any override.

    Raises:
        ConfigError: when the user's own `conf/` cannot be composed.
    """
    with _composition():
        return _composed([])[0]


def config_of_choices(choices: Mapping[str, str | None]) -> tuple[PlainConfig, list[str]]:
    """Return the resolved config with the options of groups that a run chose, and the overrides that this takes.

    Nothing is made of a config, and no code of a run is executed: only files of this machine are composed.

    Args:
        choices: the options by group. Those that others bring about are not listed again.

    Raises:
        ConfigError: when there is no such option here.
    """
    wanted = {group: option for group, option in choices.items() if group.partition("/")[0] not in _NO_PART_OF_A_JOB}
    overrides: list[str] = []
    with _composition():
        config, found = _composed(overrides)
        for stage in _stages(wanted):
            missing = [_override(group, wanted[group]) for group in stage if found.get(group) != wanted[group]]
            if missing:
                overrides += missing
                config, found = _composed(overrides)
    return config, overrides


def _stages(groups: Mapping[str, str | None]) -> Iterator[list[str]]:
    """Return the groups, those first that have a say in others."""
    yield [group for group in _FIRST if group in groups]
    others = [group for group in groups if group not in _FIRST]
    for depth in sorted({group.count("/") for group in others}):
        yield [group for group in others if group.count("/") == depth]


def _override(group: str, option: str | None) -> str:
    text = "null" if option is None else option
    if not _PLAIN.fullmatch(group) or not _PLAIN.fullmatch(text) or ".." in text:
        raise ValueError(f"{group}={text} is no option of a group")
    return f"{group}={text}"


def _composed(overrides: list[str]) -> tuple[PlainConfig, dict[str, str | None]]:
    config = compose("train", overrides, return_hydra_config=True)
    choices = cast("dict[str, str | None]", OmegaConf.to_container(config.hydra.runtime.choices))
    HydraConfig.instance().set_config(config)  # a user's own config may refer to it
    with open_dict(config):
        del config["hydra"]
    return resolve(config), choices


@contextmanager
def _composition() -> Iterator[None]:
    hydra, known = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    try:
        with user_conf_first(), initialize_config_dir(str(conf_dir()), version_base="1.3"):
            yield
    except COMPOSITION_ERRORS as error:
        raise explain_composition(error, [conf_dir()]) from error
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = hydra, known
