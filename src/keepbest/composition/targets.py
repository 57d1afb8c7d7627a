"""What a `_target_` names, and whether it takes the arguments that the config gives it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import typing
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from keepbest.composition.annotations import admits, annotations_of, show
from keepbest.errors import ConfigError, did_you_mean

Parameters = Mapping[str, inspect.Parameter]

_HYDRA_KEYS = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")


def check_targets(node: Any, key: str, *, given: tuple[str, ...] = ()) -> None:
    """Check a node of the config and everything nested in it, without calling anything.

    Args:
        node: plain containers; those with a `_target_` are looked at.
        key: the node's dotted path, for messages.
        given: names of arguments that the program adds when it calls the target.

    Raises:
        ConfigError: for a target that cannot be imported or called, an argument that it does not take, a required
            argument that is missing, or a value that its annotation does not admit.
    """
    if isinstance(node, Mapping):
        if "_target_" in node:
            _check_call(node, key, given)
        if node.get("_recursive_", True):  # else the target makes what is nested in it, with arguments of its own
            for name, item in node.items():
                check_targets(item, f"{key}.{name}")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            check_targets(item, f"{key}[{index}]")


def locate(path: object, key: str) -> Callable[..., Any]:
    """Return the class or function that a dotted path names, importing its module.

    Raises:
        ConfigError: when there is no such thing, with a near-miss suggestion where there is one.
    """
    if not isinstance(path, str) or not path:
        raise ConfigError("it must be the dotted path of a class or a function", key=f"{key}._target_", received=path)
    names = path.split(".")
    found = _import_module(names[0], path, key)
    for at, name in enumerate(names[1:], start=1):
        found = _member(found, name, ".".join(names[: at + 1]), path, key)
    if not callable(found):
        raise ConfigError("it must name a class or a function", key=f"{key}._target_", received=path)
    return typing.cast("Callable[..., Any]", found)


def _member(found: Any, name: str, path: str, whole: str, key: str) -> Any:
    """Return what `path`, the beginning of a target's `whole` path, names; a submodule is imported, as Hydra does."""
    try:
        return getattr(found, name)
    except AttributeError:
        if _is_module(path, found):
            return _import_module(path, whole, key)
        hint = did_you_mean(name, (other for other in dir(found) if not other.startswith("_")))
        raise ConfigError(
            f"{_name(found)} has no {name!r}", key=f"{key}._target_", received=whole, remedy=hint
        ) from None
    except Exception as error:  # a module may look its names up in any way, as torch.classes does
        raise ConfigError(f"looking for {path} failed: {error}", key=f"{key}._target_", received=whole) from error


def _is_module(path: str, package: Any) -> bool:
    if not isinstance(package, ModuleType) or not hasattr(package, "__path__"):
        return False
    try:
        return importlib.util.find_spec(path) is not None
    except (ImportError, ValueError):  # the package goes by another name where it was found
        return False


def _import_module(name: str, path: str, key: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise _broken_module(name, key, path, error) from error
        raise ConfigError(
            f"there is no module {name!r} here",
            key=f"{key}._target_",
            received=path,
            remedy=f"Install it, or run the command in the directory that holds {name}.py",
        ) from error
    except (Exception, SystemExit) as error:  # a user's module may raise anything while it is imported
        raise _broken_module(name, key, path, error) from error


def _broken_module(name: str, key: str, path: str, error: BaseException) -> ConfigError:
    return ConfigError(f"importing {name} raised {type(error).__name__}: {error}", key=f"{key}._target_", received=path)


def _check_call(node: Mapping[str, Any], key: str, given: tuple[str, ...]) -> None:
    target = locate(node["_target_"], key)
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # some classes written in C have none
        return
    arguments = {name: value for name, value in node.items() if name not in _HYDRA_KEYS}
    _refuse_unknown(target, parameters, arguments, key)
    if not node.get("_partial_") and not node.get("_args_"):
        _refuse_missing(target, parameters, {*arguments, *given}, key)
    annotations = annotations_of(target)
    for name, value in arguments.items():
        if name in annotations and not admits(annotations[name], value):
            wanted = show(annotations[name])
            raise ConfigError(f"{_name(target)} wants {wanted}", key=f"{key}.{name}", received=value)


def _refuse_unknown(target: Any, parameters: Parameters, arguments: Mapping[str, Any], key: str) -> None:
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    known = _by_name(parameters)
    for name in arguments:
        if name not in known:
            taken = ", ".join(known) or "none"
            raise ConfigError(
                f"{_name(target)} takes no argument {name!r}, it takes {taken}",
                key=f"{key}.{name}",
                remedy=did_you_mean(name, known),
            )


def _refuse_missing(target: Any, parameters: Parameters, present: set[str], key: str) -> None:
    for name in _by_name(parameters):
        if parameters[name].default is inspect.Parameter.empty and name not in present:
            raise ConfigError(
                f"{_name(target)} needs a value for it", key=f"{key}.{name}", remedy=f"Add +{key}.{name}=..."
            )


def _by_name(parameters: Parameters) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [parameter.name for parameter in parameters.values() if parameter.kind in kinds]


def _name(thing: Any) -> str:
    return str(getattr(thing, "__qualname__", getattr(thing, "__name__", thing)))
