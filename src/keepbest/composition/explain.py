"""Hydra's complaints about an override, in keepbest's words and with a suggestion."""

from __future__ import annotations

import re
from pathlib import Path

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, ListConfig
from omegaconf.errors import OmegaConfBaseException, ValidationError

from keepbest.errors import ConfigError, did_you_mean

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, ValueError)
"""What composing may raise; a ValueError is how Hydra refuses a group's option that is not a text."""

_KINDS = (
    (BooleanNode, "it must be true or false", "true"),
    (IntegerNode, "it must be a whole number", "2"),
    (FloatNode, "it must be a number", "0.5"),
    (ListConfig, "it must be a list", "[{}]"),
    (DictConfig, "it must be a mapping", "{{name: {}}}"),
)
"""Nodes of a schema, what their values must be, and an example of one."""


def explain_composition(error: Exception, conf_dirs: list[Path]) -> ConfigError:
    """Turn an error of Hydra's composition into one that says the rule, the value and the remedy.

    Args:
        error: one of `COMPOSITION_ERRORS`.
        conf_dirs: where groups are found, for suggestions.
    """
    if isinstance(error, OverrideParseException):
        return ConfigError(
            "an override reads group=option or some.key=value", received=error.override, remedy=_first_line(error)
        )
    if isinstance(error, MissingConfigException) and error.options is not None:
        return _unknown_option(error)
    if isinstance(error, ConfigCompositionException):
        return _not_composed(error, conf_dirs)
    return ConfigError(_first_line(error), key=getattr(error, "full_key", None) or None)


def _unknown_option(error: MissingConfigException) -> ConfigError:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    options = sorted(error.options or ())
    hint = did_you_mean(option, options)
    return ConfigError(f"it must be one of {', '.join(options)}", key=group, received=option, remedy=hint)


def _not_composed(error: ConfigCompositionException, conf_dirs: list[Path]) -> ConfigError:
    text = str(error)
    found = re.search(r"Could not (?:override|append to config|delete from config)[^']*'([^']+)'", text)
    key = found.group(1) if found else None
    cause = error.__cause__
    if key and "/" in key:
        groups = _groups(conf_dirs)
        if key in groups:
            return ConfigError(
                "the options that are chosen have no such group",
                key=key,
                remedy=f"Choose a {key.partition('/')[0]} that has it",
            )
        hint = did_you_mean(key.split("@")[0], groups)
        return ConfigError(f"there is no such group; there are {', '.join(groups)}", key=key, remedy=hint)
    if isinstance(cause, ValidationError) and isinstance(cause.parent_node, DictConfig):
        return _wrong_type(text, cause, cause.parent_node)
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig) and cause.key:
        return _unknown_key(str(key or cause.full_key), str(cause.key), cause.parent_node)
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    return ConfigError(". ".join(lines))


def _wrong_type(text: str, cause: ValidationError, parent: DictConfig) -> ConfigError:
    key, node = str(cause.full_key), parent._get_node(cause.key)
    value = _first_line(Exception(text)).partition(f"{key}=")[2]
    for kind, rule, example in _KINDS:
        if isinstance(node, kind):
            hint = f"Write {key}={example.format(value)}, for example"
            return ConfigError(rule, key=key, received=value, remedy=hint)
    return ConfigError(_first_line(cause), key=key)


def _unknown_key(key: str, name: str, parent: DictConfig) -> ConfigError:
    choices = sorted(str(choice) for choice in parent if not str(choice).startswith("_"))
    parts = key.split(".")
    where = ".".join(parts[: parts.index(name)] if name in parts else parts[:-1]) or "the config"
    return ConfigError(
        f"{where} has no key {name!r}, it has {', '.join(choices) or 'none'}",
        key=key,
        remedy=did_you_mean(name, choices) or f"Write +{key}=... to add it",
    )


def _groups(conf_dirs: list[Path]) -> list[str]:
    folders = {path.parent.relative_to(conf).as_posix() for conf in conf_dirs for path in conf.rglob("*.yaml")}
    return sorted(folders - {"."})


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
