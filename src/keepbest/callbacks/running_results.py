"""What a module has logged in the epoch under way, which Lightning leaves out of its checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch.trainer.connectors.logger_connector.result import (
    _Metadata,
    _ResultCollection,
    _ResultMetric,
    _Sync,
)
from torch import Tensor

from keepbest.callbacks.rank_zero import warn

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

State = dict[str, Any]

# self.log compares how a name is logged now with how it was logged before, functions included
_REDUCTIONS = {
    "torch.mean": torch.mean, "torch.sum": torch.sum, "torch.max": torch.max, "torch.min": torch.min,
    "sum": sum, "max": max, "min": min,
}  # fmt: skip
_HOW = (
    "fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "enable_graph",
    "add_dataloader_idx", "dataloader_idx", "metric_attribute",
)  # fmt: skip
_SUMS = ("value", "cumulated_batch_size", "_forward_cache")


def running_results(trainer: Trainer) -> State:
    """Return what the training epoch under way has logged so far, and the latest values of all that was logged before.

    Those of this process: ranks log different values. Tensors are on the CPU.
    """
    logged = trainer._logger_connector
    state = {
        "epoch": [_entry(key, result) for key, result in _results(trainer).items() if _is_plain(result)],
        "first_loop_iter": logged._first_loop_iter,
        "current_fx": logged._current_fx,
        "callback": logged._callback_metrics,
        "logged": logged._logged_metrics,
        "progress_bar": logged._progress_bar_metrics,
    }
    on_cpu: State = move_data_to_device(state, "cpu")
    return on_cpu


def restore_running_results(trainer: Trainer, module: LightningModule, state: State) -> None:
    """Let the epoch go on with what `running_results` returned."""
    state = move_data_to_device(state, trainer.strategy.root_device)
    for entry in state["epoch"]:
        _restore(trainer, module, entry)
    logged = trainer._logger_connector
    logged._first_loop_iter, logged._current_fx = state["first_loop_iter"], state["current_fx"]
    logged._callback_metrics.update(state["callback"])
    logged._logged_metrics.update(state["logged"])
    logged._progress_bar_metrics.update(state["progress_bar"])


def _results(trainer: Trainer) -> _ResultCollection:
    return trainer.fit_loop.epoch_loop._results


def _is_plain(result: _ResultMetric) -> bool:
    """Return whether a result can be put into a file; a group of processes cannot."""
    if result.meta.sync.group is None:
        return True
    warn(
        f"{result.meta.name!r} is logged with a sync_dist_group, which no checkpoint can hold: a training that goes on "
        "in the middle of this epoch begins its mean over the epoch anew."
    )
    return False


def _entry(key: str, result: _ResultMetric) -> State:
    meta = result.meta
    held = vars(result)
    return {
        "key": key,
        "how": {name: getattr(meta, name) for name in _HOW},
        "reduce_fx": next(name for name, function in _REDUCTIONS.items() if function is meta.reduce_fx),
        "sync": {"_should": meta.sync.should, "rank_zero_only": meta.sync.rank_zero_only, "_op": meta.sync.op},
        "is_tensor": result.is_tensor,
        "has_reset": result.has_reset,
        "update_count": result._update_count,
        "sums": {name: held[name].detach() for name in _SUMS if isinstance(held.get(name), Tensor)},
    }


def _restore(trainer: Trainer, module: LightningModule, entry: State) -> None:
    reduce: Any = _REDUCTIONS[entry["reduce_fx"]]
    meta = _Metadata(**entry["how"], reduce_fx=reduce)
    meta.sync = _Sync(**entry["sync"], fn=trainer.strategy.reduce)
    result = _ResultMetric(meta, entry["is_tensor"])
    if not result.is_tensor:
        metric = dict(module.named_modules()).get(meta.metric_attribute or "")
        if metric is None:  # it was logged under a name of its own: it is found when it is logged again
            return
        result.value = metric
    for name, value in entry["sums"].items():
        setattr(result, name, value)
    result._update_count, result.has_reset = entry["update_count"], entry["has_reset"]
    _results(trainer)[entry["key"]] = result.to(trainer.strategy.root_device)
