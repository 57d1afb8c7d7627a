"""Another data config than a run's own, composed as `keepbest train` would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from keepbest.composition.explain import COMPOSITION_ERRORS, explain_composition
from keepbest.composition.resolved import resolve
from keepbest.composition.search_path import USER_CONF, conf_dir, user_conf_first
from keepbest.errors import ConfigError

_REMEDY = "Write it as digits data.batch_size=32"


def compose_data(words: Sequence[str], seed: int | None) -> dict[str, Any]:
    """Return the resolved data section that an option of the group `data` and overrides of it give.

    The working directory's own `conf/` comes first.

    Args:
        words: the option, then overrides in Hydra's words: `["csv", "data.path=table.csv"]`.
        seed: of the run, which the section may interpolate.

    Raises:
        ConfigError: for what cannot be composed, or is no override of the data.
    """
    option, *overrides = words
    if "=" in option:
        raise ConfigError("the first word must be an option of the group data", received=option, remedy=_REMEDY)
    for override in overrides:
        if "=" not in override and not override.startswith("~"):
            raise ConfigError("an override reads data.key=value", received=override, remedy=_REMEDY)
        if not override.lstrip("+~").startswith(("data.", "data/")):
            raise ConfigError("only the data can be other than the run's own", received=override, remedy=_REMEDY)
    composed = _compose([f"data={option}", f"seed={'null' if seed is None else seed}", *overrides])
    return resolve(composed)


def _compose(overrides: list[str]) -> DictConfig:
    from keepbest.records.locations import new_id

    OmegaConf.register_new_resolver("launch_id", new_id, replace=True)
    try:
        with user_conf_first(), initialize_config_dir(str(conf_dir()), version_base="1.3"):
            data = compose("train", overrides).get("data")
    except COMPOSITION_ERRORS as error:
        raise explain_composition(error, [conf_dir(), Path.cwd() / USER_CONF]) from error
    finally:
        GlobalHydra.instance().clear()
    if not isinstance(data, DictConfig):
        raise ConfigError("it must be a mapping with the _target_ of a class", key="data", received=data)
    return data
