"""Why a job must not share its training: where its result, or its directory, could be another one than its own.

What is known to be harmless is let through; what is unknown trains alone. The exceptions are the user's own callbacks:
what one of them does where the training ends has to be declared, in `hydra.sweeper.reads_stop`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keepbest.errors import ConfigError, did_you_mean
from keepbest.sweeping.fingerprint import EARLY_STOPPING, MASKED, OF_THE_OBJECTIVE, STOPPERS, WATCH
from keepbest.training.launch import fits_one_process

Node = Mapping[str, Any]

_KNOWN_STOPPING = MASKED | OF_THE_OBJECTIVE | WATCH.keys() | {"restore_best_weights"}
_TRAINERS = ("lightning.Trainer", "lightning.pytorch.Trainer", "lightning.pytorch.trainer.trainer.Trainer")
_KEEPERS = (
    "keepbest.ModelCheckpoint",
    "keepbest.callbacks.model_checkpoint.ModelCheckpoint",
    "lightning.pytorch.callbacks.ModelCheckpoint",
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
)
_AT_THE_END = "puts other weights into the model where the training ends"
_CALLBACKS = {
    "Timer": "ends it by the clock",
    "BatchSizeFinder": "takes the batch size that fits into the memory at that moment",
    "StochasticWeightAveraging": _AT_THE_END,
    "WeightAveraging": _AT_THE_END,
    "EMAWeightAveraging": _AT_THE_END,
    "ModelPruning": _AT_THE_END,
    "SpikeDetection": "writes a file of its own into the run's directory",
}
"""Callbacks, by their class, beside which a training must not be shared."""
_HARMLESS_PLUGINS = ("Precision", "Environment", "LayerSync", "TorchSyncBatchNorm")
"""How the classes of plugins end that have nothing to do with checkpoints."""
_DURABLE = "keepbest.checkpoints.checkpoint_io.DurableCheckpointIO"
_STRATEGIES = (
    "auto",
    "ddp",
    "lightning.pytorch.strategies.DDPStrategy",
    "lightning.pytorch.strategies.SingleDeviceStrategy",
)
"""Strategies that write a checkpoint as one file, by name or target; there are more names that begin with `ddp_`."""
_IN_ONE_PROCESS = (None, "auto", "lightning.pytorch.strategies.SingleDeviceStrategy")


def why_alone(config: Mapping[str, Any], reads_stop: Iterable[str] = ()) -> str | None:
    """Return why a job must not share its training, None where it may.

    Args:
        config: resolved and checked.
        reads_stop: the names of callbacks that do something where the training ends.
    """
    return next(_reasons(config, frozenset(reads_stop)), None)


def require_callbacks(reads_stop: Iterable[str], configs: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a declaration about a callback that no job has: jobs would share what they must not.

    Args:
        reads_stop: the names of callbacks.
        configs: of all jobs, resolved.

    Raises:
        ConfigError: for a name of none.
    """
    if not (wanted := set(reads_stop)):
        return
    keys = {key for config in configs for key in _callbacks_of(config)}
    known = keys | {key.removeprefix("callbacks.") for key in keys}
    for name in sorted(wanted - known):
        choices = sorted(key.removeprefix("callbacks.") for key in keys)
        raise ConfigError(
            f"each name is that of a callback of some job, which are {', '.join(choices) or 'none'}",
            key="hydra.sweeper.reads_stop",
            received=name,
            remedy=did_you_mean(name, choices) or None,
        )


def _reasons(config: Mapping[str, Any], reads_stop: frozenset[str]) -> Iterator[str]:
    callbacks = _callbacks_of(config)
    if config.get("seed") is None:
        yield "it has no seed, so that no two trainings are alike"
    yield from _about_trainer(config["trainer"])
    yield from _about_policy(callbacks.get(f"callbacks.{EARLY_STOPPING}"))
    yield from _about_keeper(callbacks, config)
    for key, node in callbacks.items():
        yield from _about_callback(key, node, reads_stop)


def _callbacks_of(config: Mapping[str, Any]) -> dict[str, Node]:
    """Return the callbacks by their paths in the config, those of the trainer's own node among them."""
    named = {f"callbacks.{name}": node for name, node in (config.get("callbacks") or {}).items()}
    unnamed = enumerate(_listed(config["trainer"], "callbacks"))
    nodes = named | {f"trainer.callbacks[{index}]": node for index, node in unnamed}
    return {key: node for key, node in nodes.items() if node and isinstance(node, Mapping)}


def _listed(node: Node, name: str) -> list[Any]:
    value = node.get(name)
    return [] if value is None else value if isinstance(value, list) else [value]


def _about_trainer(trainer: Node) -> Iterator[str]:
    if trainer.get("_target_") not in _TRAINERS:
        yield f"its trainer is {trainer.get('_target_')}, which may follow rules of its own"
    if trainer.get("max_time") is not None:
        yield "trainer.max_time ends it by the clock"
    if trainer.get("fast_dev_run"):
        yield "trainer.fast_dev_run switches stopping and keeping off"
    if not trainer.get("enable_checkpointing", True):
        yield "trainer.enable_checkpointing switches keeping off"
    yield from _about_checks(trainer)
    strategy = trainer.get("strategy") or "auto"
    if not _writes_whole_files(strategy):
        yield f"trainer.strategy={_class_of(strategy)} may write checkpoints in a way of its own"
    for plugin in _listed(trainer, "plugins"):
        if _may_write(plugin):
            yield f"trainer.plugins has {_class_of(plugin)}, which may write checkpoints in a way of its own"


def _checks_within_epochs(trainer: Node) -> bool:
    interval = trainer.get("val_check_interval")
    at_the_end = interval is None or (isinstance(interval, float) and interval == 1.0)
    return not at_the_end or trainer.get("check_val_every_n_epoch", 1) is None


def _about_checks(trainer: Node) -> Iterator[str]:
    interval, every = trainer.get("val_check_interval"), trainer.get("check_val_every_n_epoch", 1)
    one_process = fits_one_process(trainer) and _class_or_name(trainer.get("strategy")) in _IN_ONE_PROCESS
    if not (interval is None or isinstance(interval, (int, float))):
        yield "its checks come by the clock"
    elif _checks_within_epochs(trainer) and not one_process:  # a trainer beside this one would end a member's epoch
        yield "its checks come within epochs, and it may train on several devices"
    elif isinstance(interval, int) and interval == every == 1:
        yield "trainer.val_check_interval=1 is each batch to Lightning's trainer, and each epoch to its callbacks"


def _class_or_name(strategy: Any) -> Any:
    return strategy.get("_target_") if isinstance(strategy, Mapping) else strategy


def _writes_whole_files(strategy: Any) -> bool:
    """Return whether a strategy writes a checkpoint as one file, by the trainer's means."""
    if isinstance(strategy, Mapping):
        has_own_io = "_args_" in strategy or strategy.get("checkpoint_io") is not None
        return strategy.get("_target_") in _STRATEGIES and not has_own_io
    name = str(strategy).lower()
    return name in _STRATEGIES or name.startswith("ddp_")


def _may_write(plugin: Any) -> bool:
    """Return whether a plugin may write checkpoints other than at once, into files that are replaced."""
    if not isinstance(plugin, Mapping):
        return False  # the name of a precision
    target = str(plugin.get("_target_"))
    harmless = target.startswith("lightning.") and target.endswith(_HARMLESS_PLUGINS)
    return not (harmless or target == _DURABLE)


def _about_policy(node: Node | None) -> Iterator[str]:
    if not node:
        return
    if node.get("_target_") not in STOPPERS:
        yield f"its early stopping is {node.get('_target_')}, which decides by rules of its own"
    if node.get("restore_best_weights"):
        yield f"callbacks.{EARLY_STOPPING}.restore_best_weights writes the best weights into every checkpoint"
    if unknown := sorted(map(str, node.keys() - _KNOWN_STOPPING)):
        yield f"callbacks.{EARLY_STOPPING}.{unknown[0]} is no setting of a stopping policy"


def _about_keeper(callbacks: Mapping[str, Node], config: Mapping[str, Any]) -> Iterator[str]:
    keepers = {key: node for key, node in callbacks.items() if "Checkpoint" in _class_of(node)}
    if len(keepers) != 1:
        count = "no callback keeps" if not keepers else f"{len(keepers)} callbacks keep"
        yield f"{count} its checkpoints, and exactly one can be followed"
        return
    ((key, node),) = keepers.items()
    if node.get("_target_") not in _KEEPERS or "_args_" in node:
        yield f"{key} is {node.get('_target_')}, which may keep checkpoints in a way of its own"
    if {"monitor": node.get("monitor"), "mode": node.get("mode", "min")} != config["objective"]:
        yield f"{key} does not keep by the objective"
    if node.get("save_top_k", 1) == 0:
        yield f"{key}.save_top_k=0 keeps none of its checkpoints"
    if node.get("train_time_interval") is not None:
        yield f"{key}.train_time_interval keeps checkpoints by the clock"
    if node.get("save_last") in (True, "link") and _checks_within_epochs(config["trainer"]):
        yield f"{key}.save_last saves in the middle of an epoch, and no training goes on from there exactly"
    if node.get("every_n_train_steps"):
        yield f"{key}.every_n_train_steps keeps checkpoints of no check"
    # keepbest puts relative paths inside the run's directory, but not those of the trainer's own callbacks
    if key.startswith("trainer.") or _lies_outside(node.get("dirpath"), config.get("logger")):
        yield f"{key}.dirpath puts its checkpoints outside of its directory"


def _lies_outside(dirpath: Any, loggers: Any) -> bool:
    if dirpath is None:  # the logger chooses a directory then, or the trainer takes the run's
        return any((loggers or {}).values())
    path = Path(os.path.normpath(str(dirpath)))
    return "://" in str(dirpath) or path.is_absolute() or os.pardir in path.parts


def _about_callback(key: str, node: Node, reads_stop: frozenset[str]) -> Iterator[str]:
    if key == f"callbacks.{EARLY_STOPPING}":
        return
    if key in reads_stop or key.removeprefix("callbacks.") in reads_stop:
        yield f"{key} is declared to read the stop (hydra.sweeper.reads_stop)"
    name = _class_of(node)
    if name in _CALLBACKS:
        yield f"{key} {_CALLBACKS[name]}"
    if name.endswith("EarlyStopping"):
        yield f"{key} is a second early stopping"


def _class_of(node: Any) -> str:
    """Return the name of the class that a node makes, or what stands in its place."""
    return str(node.get("_target_")).rpartition(".")[2] if isinstance(node, Mapping) else str(node)
