"""Where the config of a run differs from the defaults of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keepbest.errors import KeepbestError
from keepbest.reading.choices import recorded_choices
from keepbest.reading.differences import differences


@dataclass(frozen=True)
class ChangedSettings:
    """What one would have to type to come from the defaults to a run's config.

    Args:
        choices: options of groups, such as `model=cnn`.
        settings: the run's value and the default by key, where these options do not already say it; `ABSENT` where
            only one of both has the key.
    """

    choices: list[str]
    settings: dict[str, tuple[Any, Any]]


def changed_settings(config: Mapping[str, Any], directory: Path) -> ChangedSettings:
    """Compare a run's config with what `train.yaml` is on this machine, in the present working directory.

    The options of the groups are those that Hydra noted beside the run, unless they do not exist here, or explain less
    than they bring up. Nothing of the run is executed.

    Args:
        config: of the run.
        directory: the run's, absolute and without links.

    Raises:
        KeepbestError: when the defaults cannot be composed.
    """
    from keepbest.composition.defaults import config_of_choices, default_config

    plain = ChangedSettings([], _changed(config, default_config()))
    choices = recorded_choices(directory)
    if not choices:
        return plain
    try:
        chosen, overrides = config_of_choices(choices)
    except (KeepbestError, ValueError):
        return plain
    explained = ChangedSettings(overrides, _changed(config, chosen))
    return min(explained, plain, key=lambda one: len(one.choices) + len(one.settings))


def _changed(config: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (values[0], values[1]) for key, values in differences([config, default]).items()}
