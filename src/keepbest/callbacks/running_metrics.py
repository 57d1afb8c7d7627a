"""The state of torchmetrics objects in an epoch under way, which they leave out of a module's state."""

from __future__ import annotations

from typing import Any

from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torchmetrics import Metric

State = dict[str, Any]

_PLAIN = (bool, int, float, Tensor)


def running_metrics(module: nn.Module) -> dict[str, State]:
    """Return the state of every torchmetrics object below a module, by its name there; tensors are on the CPU.

    That is what it adds up, and the numbers it counts with (wrappers keep them in plain attributes). An object that is
    no submodule, because it lies in a list, is not found.
    """
    found = {name: _state_of(part) for name, part in module.named_modules() if isinstance(part, Metric)}
    on_cpu: dict[str, State] = move_data_to_device(found, "cpu")
    return on_cpu


def restore_running_metrics(module: nn.Module, states: dict[str, State]) -> None:
    """Let the metrics go on with what `running_metrics` returned."""
    parts = dict(module.named_modules())
    for name, state in states.items():
        metric = parts.get(name)
        if not isinstance(metric, Metric):  # made on the way, and not made yet
            continue
        for attribute, value in move_data_to_device(state, metric.device).items():
            setattr(metric, attribute, value)


def _state_of(metric: Metric) -> State:
    counters = {name: value for name, value in vars(metric).items() if type(value) in _PLAIN}
    state = counters | metric.metric_state
    return {name: _detached(value) for name, value in state.items()}


def _detached(value: Any) -> Any:
    if isinstance(value, list):
        return [item.detach() for item in value]
    return value.detach() if isinstance(value, Tensor) else value
