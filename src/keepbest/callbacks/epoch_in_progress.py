"""The epoch under way, in a checkpoint made between two of its batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch.callbacks import Callback

from keepbest.callbacks.batch_boundaries import BoundaryCallback, boundary_loop, is_at_boundary
from keepbest.callbacks.positioned_loader import DataPosition, PositionedSource
from keepbest.callbacks.rank_zero import warn
from keepbest.callbacks.ranks import of_every_rank
from keepbest.callbacks.running_metrics import restore_running_metrics, running_metrics
from keepbest.callbacks.running_results import restore_running_results, running_results

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

State = dict[str, Any]

_KEY = "keepbest_epoch_in_progress"


@runtime_checkable
class AddsUp(Protocol):
    """A module that adds up something over an epoch by itself, in attributes that are no part of its state."""

    def epoch_state_dict(self) -> State:
        """Return what this process has added up in the training epoch under way: tensors and plain containers."""

    def load_epoch_state_dict(self, state: State) -> None:
        """Go on with it; tensors are on the module's device. `on_train_epoch_start` is not called before."""


class EpochInProgress(Callback, BoundaryCallback):
    """Saves what Lightning leaves out of a checkpoint in the middle of an epoch, for every rank, and restores it.

    That is the position of the training loaders, what was logged in the epoch, the torchmetrics objects below the
    module, and what a module with the two methods of `AddsUp` has added up. The loaders go through the batches of
    before again, without training; one that has `state_dict` and `load_state_dict` is restored by these instead.

    What cannot be exact: what a module or a callback keeps of the epoch in other attributes; a sampler or a dataset in
    the main process that draws from the global random number generators for what it yields later, batch after batch,
    while the training draws from the same (a shuffle buffer); loaders of different lengths, of which one begins anew in
    the middle of an epoch. Stands before the callbacks that look at what was logged.
    """

    def __init__(self) -> None:
        self._position: DataPosition | None = None
        self._resumed: State | None = None
        self._loaders: list[State] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Prepare the loop and the source of the loaders, before either is used."""
        if stage != "fit":
            return
        loop, source = boundary_loop(trainer), trainer.fit_loop._data_source
        loop.is_exact, loop.resumes = True, False
        self._position = DataPosition(loop.batch_progress)
        trainer.fit_loop._data_source = PositionedSource(source.instance, source.name, self._position)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        """Put the epoch under way into a checkpoint made between two batches. Every rank calls this."""
        if is_at_boundary(trainer) and self._position:
            checkpoint[_KEY] = of_every_rank(trainer, self._state(trainer, pl_module, self._position))

    def _state(self, trainer: Trainer, module: LightningModule, position: DataPosition) -> State:
        return {
            "data": position.state_dict(),
            "results": running_results(trainer),
            "metrics": running_metrics(module),
            "module": move_data_to_device(module.epoch_state_dict(), "cpu") if isinstance(module, AddsUp) else None,
            "accumulate_grad_batches": trainer.accumulate_grad_batches,  # some callbacks change it as an epoch starts
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        """Take the epoch that was under way, where a fit goes on with it."""
        if trainer.state.fn != "fit" or self._position is None:
            return
        if (fit_loop := checkpoint.get("loops", {}).get("fit_loop")) is None:
            return
        self._position.epoch = fit_loop["epoch_progress"]["current"]["processed"]
        if (states := checkpoint.get(_KEY)) is None:
            return
        boundary_loop(trainer).resumes = True
        self._loaders = fit_loop["state_dict"].get("combined_loader", [])
        self._resumed = states[trainer.global_rank] if len(states) == trainer.world_size else None
        if self._resumed is None:
            warn(
                f"This checkpoint was made in the middle of an epoch by {len(states)} processes, and there are "
                f"{trainer.world_size} now: the rest of the epoch sees other batches, and its metrics leave out what "
                "came before. Go on with as many processes for the result of an uninterrupted training."
            )

    def on_epoch_resumed(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring loaders and metrics to where they were."""
        resumed, self._resumed = self._resumed, None
        if resumed is None or self._position is None:
            return
        trainer.accumulate_grad_batches = resumed["accumulate_grad_batches"]
        restore_running_metrics(pl_module, resumed["metrics"])
        restore_running_results(trainer, pl_module, resumed["results"])
        if resumed["module"] is not None and isinstance(pl_module, AddsUp):
            pl_module.load_epoch_state_dict(move_data_to_device(resumed["module"], pl_module.device))
        self._bring_loaders_back(trainer, self._position, resumed["data"])

    def _bring_loaders_back(self, trainer: Trainer, position: DataPosition, resumed: State) -> None:
        """Begin the pass again: Lightning began one before it knew where the training goes on."""
        loader, fetcher = trainer.fit_loop._combined_loader, trainer.fit_loop._data_fetcher
        if loader is None or fetcher is None:
            return
        loader._load_state_dicts(self._loaders)
        self._loaders, position.resumed = [], resumed
        iter(fetcher)
