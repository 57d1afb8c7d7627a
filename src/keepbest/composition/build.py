"""Objects from config. The only place that calls Hydra's `instantiate`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from keepbest.composition.targets import check_targets
from keepbest.errors import ConfigError, KeepbestError

if TYPE_CHECKING:
    from lightning.fabric.plugins import CheckpointIO
    from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
    from lightning.pytorch.loggers import Logger
    from optuna.samplers import BaseSampler

T = TypeVar("T")
Node = Mapping[str, Any]

# Where a run writes is given relative to its directory, so that the same config serves every run.
_WRITES_TO = ("dirpath", "save_dir")
_GIVEN_TO_TRAINER = ("callbacks", "logger", "plugins", "default_root_dir")


def check_all_targets(config: Mapping[str, Any]) -> None:
    """Check every `_target_` of a config and its arguments, importing what they name and making nothing.

    Raises:
        ConfigError: for the first that cannot work.
    """
    check_targets(config["trainer"], "trainer", given=_GIVEN_TO_TRAINER)
    for section in ("model", "data", "callbacks", "logger"):
        check_targets(config.get(section), section)


def build_model(node: Node) -> LightningModule:
    """Make the LightningModule."""
    from lightning.pytorch import LightningModule

    return _build(node, "model", LightningModule)


def build_datamodule(node: Node) -> LightningDataModule:
    """Make the LightningDataModule."""
    from lightning.pytorch import LightningDataModule

    return _build(node, "data", LightningDataModule)


def build_callbacks(nodes: Mapping[str, Node | None] | None, job_dir: Path) -> list[Callback]:
    """Make the callbacks, in the order of the config; null and empty ones are off."""
    from lightning.pytorch import Callback

    items = (nodes or {}).items()
    return [_build_inside(node, f"callbacks.{name}", Callback, job_dir) for name, node in items if node]


def build_loggers(nodes: Mapping[str, Node | None] | None, job_dir: Path) -> list[Logger]:
    """Make the loggers, in the order of the config; null and empty ones are off."""
    from lightning.pytorch.loggers import Logger

    kind: type[Logger] = Logger  # type: ignore[type-abstract]  # it is only compared with
    items = (nodes or {}).items()
    return [_build_inside(node, f"logger.{name}", kind, job_dir) for name, node in items if node]


def build_trainer(
    node: Node, callbacks: Iterable[Callback], loggers: list[Logger], checkpoint_io: CheckpointIO, job_dir: Path
) -> Trainer:
    """Make the trainer. Its own callbacks and plugins come first; a CheckpointIO among them replaces keepbest's."""
    from lightning.fabric.plugins import CheckpointIO
    from lightning.pytorch import Trainer

    check_targets(node, "trainer", given=_GIVEN_TO_TRAINER)
    factory = _instantiate({**node, "_partial_": True}, "trainer")
    own = factory.keywords
    plugins = _listed(own.get("plugins"))
    if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
        plugins.append(checkpoint_io)
    trainer = _call(
        functools.partial(
            factory,
            callbacks=[*_listed(own.get("callbacks")), *callbacks],
            logger=loggers or False,
            plugins=plugins,
            default_root_dir=job_dir,
        ),
        "trainer",
    )
    return _expect(trainer, "trainer", Trainer)


def build_sampler(node: Node) -> BaseSampler:
    """Make the sampler of a search."""
    from optuna.samplers import BaseSampler

    kind: type[BaseSampler] = BaseSampler  # type: ignore[type-abstract]  # it is only compared with
    return _build(node, "hydra.sweeper.sampler", kind)


def _build(node: Node, key: str, kind: type[T]) -> T:
    check_targets(node, key)
    return _expect(_instantiate(node, key), key, kind)


def _build_inside(node: Node, key: str, kind: type[T], job_dir: Path) -> T:
    return _build(_inside(node, key, job_dir), key, kind)


def _instantiate(node: Node, key: str) -> Any:
    return _call(functools.partial(instantiate, dict(node), _convert_="all"), key)


def _call(make: Any, key: str) -> Any:
    """Call a factory; what it refuses is a fault of the config, unless it is an error that keepbest words itself."""
    try:
        return make()
    except Exception as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
        if isinstance(cause, ConfigError) and cause.key is None:
            raise ConfigError(cause.rule, key=key, received=cause.received, remedy=cause.remedy) from cause
        if isinstance(cause, KeepbestError):
            raise cause from None
        raise ConfigError(f"it cannot be made: {type(cause).__name__}: {cause}", key=key) from error


def _expect(made: Any, key: str, kind: type[T]) -> T:
    if not isinstance(made, kind):
        other = any(base.__module__.partition(".")[0] == "pytorch_lightning" for base in type(made).__mro__)
        raise ConfigError(
            f"it must be a {kind.__name__}" + (" of the package lightning" if other else ""),
            key=key,
            received=type(made).__name__,
            remedy="It is one of pytorch_lightning: import from lightning.pytorch instead" if other else None,
        )
    return made


def _inside(node: Node, key: str, job_dir: Path) -> Node:
    """Put the relative places that a node writes to inside the run's directory; `s3://...` and the like stay."""
    places = {}
    for name in _WRITES_TO:
        place = node.get(name)
        if place is not None and not isinstance(place, str):
            raise ConfigError("it must be the path of a directory", key=f"{key}.{name}", received=place)
        if place and "://" not in place:
            places[name] = str(job_dir / place)
    return {**node, **places}


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
