"""What can be wrong in a config, found before anything heavy is imported and before any job runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from keepbest.composition.schema import Guards
from keepbest.errors import ConfigError, did_you_mean
from keepbest.stopping.comparison import MODES
from keepbest.stopping.policy import POLICY_SETTINGS, StoppingPolicy

_SEED_LIMIT = 2**32


def check(config: Mapping[str, Any]) -> None:
    """Check what keepbest itself reads in a resolved config.

    Raises:
        ConfigError: with every fault that was found.
    """
    # a mode that is wrong in the objective is wrong in the policy too: what rests on the objective comes second
    faults = [fault for look in _LOOKS for fault in look(config)]
    faults = faults or [*_look_at_policy(config), *_look_at_watchers(config), *_look_at_limits(config)]
    if faults:
        raise faults[0] if len(faults) == 1 else ConfigErrors(faults)


class ConfigErrors(ConfigError):
    """Several faults of one config, shown together."""

    def __init__(self, faults: list[ConfigError]) -> None:
        self.faults = faults
        lines = "\n".join(f"  * {fault}" for fault in faults)
        super().__init__(f"the config has {len(faults)} faults:\n{lines}")


def policy_of(config: Mapping[str, Any]) -> StoppingPolicy | None:
    """Return the stopping policy that a config's early stopping follows; None when it is off.

    Raises:
        ConfigError: for a setting of the wrong type or out of range.
    """
    node = (config.get("callbacks") or {}).get("early_stopping")
    if not node:
        return None
    settings: dict[str, Any] = {name: node[name] for name in POLICY_SETTINGS if name in node}
    settings.setdefault("min_epochs", config["trainer"].get("min_epochs") or 0)
    return StoppingPolicy(**settings)


def _look_at_sections(config: Mapping[str, Any]) -> Iterator[ConfigError]:
    for name in ("model", "data", "trainer"):
        node = config.get(name)
        if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
            yield ConfigError(
                "it must name a class in _target_", key=name, received=node, remedy=f"Choose an option with {name}=..."
            )
    for group in ("callbacks", "logger"):
        nodes = config.get(group) or {}
        if not isinstance(nodes, Mapping):
            yield ConfigError("it must map names to nodes", key=group, received=nodes)
            continue
        for name, node in nodes.items():
            if node and (not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str)):
                yield ConfigError("it must name a class in _target_, or be null", key=f"{group}.{name}", received=node)


def _look_at_objective(config: Mapping[str, Any]) -> Iterator[ConfigError]:
    objective = config.get("objective")
    if not isinstance(objective, Mapping) or set(objective) != {"monitor", "mode"}:
        yield ConfigError("it must hold monitor and mode, and nothing else", key="objective", received=objective)
        return
    if not isinstance(objective["monitor"], str) or not objective["monitor"]:
        yield ConfigError("it must be the name of a metric", key="objective.monitor", received=objective["monitor"])
    if objective["mode"] not in MODES:
        hint = did_you_mean(str(objective["mode"]), MODES)
        yield ConfigError("it must be min or max", key="objective.mode", received=objective["mode"], remedy=hint)


def _look_at_seed(config: Mapping[str, Any]) -> Iterator[ConfigError]:
    seed = config.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < _SEED_LIMIT):
        yield ConfigError(
            "it must be a whole number from 0 to 2**32 - 1",
            key="seed",
            received=seed,
            remedy="Or null, for a run that nobody can repeat",
        )


def _look_at_verification(config: Mapping[str, Any]) -> Iterator[ConfigError]:
    node = config.get("verification") or {}
    if not isinstance(node, Mapping) or set(node) - {"tolerance"}:
        yield ConfigError("it must hold tolerance, and nothing else", key="verification", received=node)
        return
    tolerance = node.get("tolerance", "auto")
    number = isinstance(tolerance, (int, float)) and not isinstance(tolerance, bool) and tolerance >= 0
    if tolerance != "auto" and not number:
        yield ConfigError("it must be auto or a number, at least 0", key="verification.tolerance", received=tolerance)


def _look_at_guards(config: Mapping[str, Any]) -> Iterator[ConfigError]:
    node, known = config.get("guards") or {}, [field.name for field in fields(Guards)]
    if not isinstance(node, Mapping):
        yield ConfigError(f"it must hold {', '.join(known)}", key="guards", received=node)
        return
    for name, wanted in node.items():
        if name not in known:
            yield ConfigError(
                f"there is no such guard, there are {', '.join(known)}",
                key=f"guards.{name}",
                remedy=did_you_mean(str(name), known),
            )
        elif not isinstance(wanted, bool):
            yield ConfigError("it must be true or false", key=f"guards.{name}", received=wanted)


def _look_at_policy(config: Mapping[str, Any]) -> Iterator[ConfigError]:
    try:
        policy_of(config)
    except ConfigError as fault:
        yield ConfigError(fault.rule, key="callbacks.early_stopping", received=fault.received, remedy=fault.remedy)


def _look_at_watchers(config: Mapping[str, Any]) -> Iterator[ConfigError]:
    """What stops and what keeps must follow the objective, or the record would speak of something else."""
    objective, callbacks = config["objective"], config.get("callbacks") or {}
    for name in ("early_stopping", "model_checkpoint"):
        node = callbacks.get(name) or {}
        if "monitor" not in node:
            continue
        for key, value in {"monitor": node["monitor"], "mode": node.get("mode", "min")}.items():  # Lightning's default
            if value != objective[key]:
                yield ConfigError(
                    f"it must follow the objective's {key}, which is {objective[key]!r}",
                    key=f"callbacks.{name}.{key}",
                    received=value,
                    remedy=f"Change it with objective.{key}=...",
                )
    keeper = callbacks.get("model_checkpoint") or {}
    one_name = "{" not in str(keeper.get("filename")) and not keeper.get("enable_version_counter", True)
    if keeper.get("save_top_k", 1) != 1 and one_name:
        yield ConfigError(
            "several checkpoints cannot share one file name",
            key="callbacks.model_checkpoint.save_top_k",
            received=keeper["save_top_k"],
            remedy="Add callbacks.model_checkpoint.filename='best-{epoch}-{step}' in quotes",
        )


def _look_at_limits(config: Mapping[str, Any]) -> Iterator[ConfigError]:
    """Settings of the trainer under which nothing is trained or nothing is ever checked."""
    trainer = config["trainer"]
    if trainer.get("fast_dev_run"):
        yield ConfigError(
            "it switches off stopping and keeping", key="trainer.fast_dev_run", received=trainer["fast_dev_run"],
            remedy="Use debug=quick, which runs everything once",
        )  # fmt: skip
    epochs, every = trainer.get("max_epochs"), trainer.get("check_val_every_n_epoch")
    if epochs == 0:
        yield ConfigError("it must be at least 1, or -1 for no limit", key="trainer.max_epochs", received=epochs)
    elif isinstance(epochs, int) and isinstance(every, int) and 0 < epochs < every:
        yield ConfigError(
            f"validation must come at least once in the {epochs} epochs of trainer.max_epochs",
            key="trainer.check_val_every_n_epoch",
            received=every,
        )


_LOOKS: tuple[Callable[[Mapping[str, Any]], Iterator[ConfigError]], ...] = (
    _look_at_sections,
    _look_at_objective,
    _look_at_seed,
    _look_at_verification,
    _look_at_guards,
)
