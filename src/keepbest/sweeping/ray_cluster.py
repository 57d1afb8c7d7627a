"""The Ray cluster that a sweep's trainings run on."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from keepbest.errors import ConfigError
from keepbest.training.interruption import STATUS_OF, in_main_thread

_NODE = "hydra.launcher.ray"
_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
"""Settings of a task, and what they are called among the resources of a machine."""

log = logging.getLogger(__name__)


def start_ray(settings: DictConfig) -> None:
    """Start or join a cluster, and see that it has room for a training.

    The launcher would start Ray itself, but not join one that exists, and Ray takes SIGTERM.

    Args:
        settings: `hydra.launcher.ray`.

    Raises:
        ConfigError: when a training would wait for ever.
    """
    import ray

    init, remote = (_plain(OmegaConf.select(settings, name)) for name in ("init", "remote"))
    handlers = {number: signal.getsignal(number) for number in STATUS_OF}
    if not ray.is_initialized():
        ray.init(**init)
    if in_main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)
    machines = [machine["Resources"] for machine in cast("Any", ray).nodes() if machine["Alive"]]
    address = init.get("address") or os.environ.get("RAY_ADDRESS")
    require_room(remote, machines, may_grow=address not in (None, "", "local"))


def require_room(remote: Mapping[str, Any], machines: Sequence[Mapping[str, float]], *, may_grow: bool) -> None:
    """Refuse trainings that no machine of the cluster has room for.

    Args:
        remote: what a training asks for, `hydra.launcher.ray.remote`.
        machines: the resources of each.
        may_grow: whether the cluster may get other machines; then a warning is logged.

    Raises:
        ConfigError: when a training would wait for ever.
    """
    wanted = _wanted(remote)
    if any(all(machine.get(name, 0) >= count for name, count in wanted.items()) for machine in machines):
        return
    there = " or ".join(dict.fromkeys(_amounts(wanted, machine) for machine in machines)) or "no machine"
    fault = ConfigError(
        f"a training needs no more than one machine of the Ray cluster has, which is {there}",
        key=f"{_NODE}.remote",
        received=_amounts(wanted, wanted),
        remedy=f"Ask for less with {_NODE}.remote, or say what this machine has with {_NODE}.init",
    )
    if not may_grow:
        raise fault
    log.warning("The trainings wait until the cluster has grown: %s", fault)


def _wanted(remote: Mapping[str, Any]) -> dict[str, float]:
    named = {name: remote.get(setting) for setting, name in _NAMES.items()}
    named["CPU"] = 1 if named["CPU"] is None else named["CPU"]  # what Ray takes a task for that does not say
    return {name: count for name, count in {**named, **(remote.get("resources") or {})}.items() if count}


def _amounts(names: Iterable[str], amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{amounts.get(name, 0):g} {name}" for name in names)


def _plain(node: DictConfig | None) -> dict[str, Any]:
    return cast("dict[str, Any]", OmegaConf.to_container(node, resolve=True)) if node else {}
