"""The screening of a run's config: before anything that it names is called, or imported.

Each `_target_` must be a class of a kind that a model or its data is made of, from where the `Allowance` admits it, in
every position: at the top, nested, in lists, under `_args_`, under a `_recursive_: false` and under `_partial_`. The
kinds are modules (LightningModule and Metric are such), optimizers, schedulers, datasets and data modules. Trainers,
callbacks, loggers and data loaders are none: nothing that a `Run` makes needs one.

Functions and methods are never called. Then a callable that a config can make is an `nn.Module`, whose call computes,
or a `_partial_` of an admitted class, which makes an object of it. A partial goes only to classes that are made for it:
those of keepbest and of modules that were named, never to an argument of torch, torchmetrics or Lightning.

Text with `${` is refused: Hydra would interpolate it, from the environment too, while a run's config is resolved.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Mapping
from typing import Any

from keepbest.composition.allowance import (
    CALLERS,
    KNOWN_PACKAGES,
    Allowance,
    is_dotted,
    lies_in,
    module_to_name,
)
from keepbest.composition.targets import locate
from keepbest.errors import ConfigError

_DEEPEST, _MOST_NODES, _LONGEST_SHOWN = 64, 100_000, 200
_NO_FACTORIES = tuple(package for package in KNOWN_PACKAGES if package != "keepbest")


def screen(node: Any, key: str, kind: type, allowance: Allowance) -> None:
    """Refuse a node that would make anything but what is allowed. Nothing is called.

    Args:
        node: plain containers, with a `_target_` at the top.
        key: the node's dotted path, for messages.
        kind: what the top-level target must be a class of.
        allowance: what may be made.

    Raises:
        ConfigError: naming the target, and what to type to allow it.
    """
    if allowance.trust:
        return
    _require_plain(node, key, allowance)
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError("it must be a mapping with the _target_ of a class", key=key, received=_short(node))
    _screen(node, key, (kind,), None, allowance)


def _require_plain(node: Any, key: str, allowance: Allowance) -> None:
    """Refuse interpolations, and containers so large or deep that looking at them would take minutes."""
    left = [(node, 0)]
    for _ in range(_MOST_NODES):
        if not left:
            return
        item, depth = left.pop()
        if depth > _DEEPEST:
            break
        if isinstance(item, str) and "${" in item:
            raise allowance.refusal("an opened run must not interpolate anything", key, _short(item))
        left += [(inside, depth + 1) for inside in _contents(item, key)]
    raise ConfigError(f"it must not hold more than {_MOST_NODES} values, or {_DEEPEST} inside each other", key=key)


def _contents(item: Any, key: str) -> list[Any]:
    """Return what is right inside a value: keys and values, elements, or nothing."""
    if type(item) is dict:
        return [inside for pair in item.items() for inside in pair]
    if type(item) in (list, tuple):
        return list(item)
    if isinstance(item, (Mapping, list, tuple)):  # a checkpoint can hold an OrderedDict that lies about its items
        raise ConfigError("it must hold only plain containers", key=key, received=type(item).__name__)
    return []


def _screen(node: Any, key: str, kinds: tuple[type, ...], holder: type | None, allowance: Allowance) -> None:
    """Look at a node and all that is nested in it; `holder` is the class that it is an argument of."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            target = _require_class(node["_target_"], key, kinds, allowance)
            if node.get("_partial_", False) is not False:
                _require_factory_wanted(holder, target, key, allowance)
            holder = target
        for name, item in node.items():
            _screen(item, _place(key, name), _kinds(), holder, allowance)
    elif isinstance(node, (list, tuple)):
        for index, item in enumerate(node):
            _screen(item, f"{key}[{index}]", _kinds(), holder, allowance)


def _require_class(path: object, key: str, kinds: tuple[type, ...], allowance: Allowance) -> type:
    """Return the class that a path names; its module is imported only if the allowance admits it."""
    if not isinstance(path, str) or not is_dotted(path):
        raise ConfigError("it must be a class, by its dotted path", key=f"{key}._target_", received=_short(path))
    if not allowance.admits_path(path):
        raise _from_elsewhere(path, key, allowance, module_to_name(path) if _may_be_made(path, kinds) else None)
    target = locate(path, key)
    if fault := _fault(target, kinds):
        raise allowance.refusal(fault, f"{key}._target_", path)
    if not allowance.admits_class(typing.cast("type", target)):
        raise _from_elsewhere(path, key, allowance, module_to_name(f"{target.__module__}.{target.__name__}"))
    return typing.cast("type", target)


def _fault(target: object, kinds: tuple[type, ...]) -> str | None:
    """Return why something is never made, wherever it comes from."""
    if not isinstance(target, type):
        return "it must be a class: an opened run calls no functions or methods"
    if f"{target.__module__}.{target.__qualname__}" in CALLERS:
        return "it must be a class that does more than call what it is given"
    if not issubclass(target, kinds):
        return f"it must be a class of the kind {' or '.join(kind.__name__ for kind in kinds)}"
    return None


def _may_be_made(path: str, kinds: tuple[type, ...]) -> bool:
    """Return whether naming its module could allow a class, as far as this is known without importing it."""
    module, _, name = path.rpartition(".")
    target = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return target is None or _fault(target, kinds) is None


def _from_elsewhere(path: str, key: str, allowance: Allowance, module: str | None) -> ConfigError:
    rule = "it must be a class of keepbest, torch, torchmetrics or lightning that only computes, or of your own module"
    return allowance.refusal(rule, f"{key}._target_", _short(path), module)


def _require_factory_wanted(holder: type | None, target: type, key: str, allowance: Allowance) -> None:
    if holder is not None and lies_in(str(holder.__module__), _NO_FACTORIES):
        raise allowance.refusal(
            f"a _partial_ must be an argument of a class of keepbest or of a module you name, not of {holder.__name__}",
            f"{key}._partial_",
            target.__name__,
        )


def _kinds() -> tuple[type, ...]:
    from lightning.pytorch import LightningDataModule
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from torch.utils.data import Dataset

    return nn.Module, Optimizer, LRScheduler, Dataset, LightningDataModule


def _place(key: str, name: object) -> str:
    plain = isinstance(name, str) and name.isidentifier() and len(name) <= _LONGEST_SHOWN
    return f"{key}.{name if plain else repr(name)[:_LONGEST_SHOWN]}"


def _short(value: object) -> object:
    """Return a value for a message: itself, or the beginning of a long one."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "..."
    return value if isinstance(value, (bool, int, float, type(None))) else type(value).__name__
