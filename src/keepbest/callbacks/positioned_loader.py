"""A training loader that can be brought to a batch in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from lightning.fabric.utilities.data import _set_sampler_epoch, sized_len
from lightning.fabric.utilities.types import _Stateful
from lightning.pytorch.loops.progress import _BatchProgress
from lightning.pytorch.trainer.connectors.data_connector import _DataLoaderSource
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from typing_extensions import Self

from keepbest.callbacks.batch_boundaries import extended
from keepbest.checkpoints.random_state import random_state, restore_random_state
from keepbest.errors import DataError

State = dict[str, Any]


@dataclass
class DataPosition:
    """How the batches of an epoch come about, so that the same ones can be had again.

    A loader draws from the global random number generators when a pass over it begins, and when its first batch is
    asked for; its samplers keep what they drew. Where Lightning looks one batch ahead, because it cannot count them,
    that batch was drawn earlier than the training has come.

    Args:
        progress: Lightning's count of the epoch's batches.

    Attributes:
        before_pass: the generators when the pass began.
        before_first: the generators when its first batch was asked for.
        before_latest: those when its latest batch was, with `loaders_before_latest`, the states of the loaders that
            have one; both only where Lightning looks ahead.
        fetched: the batches asked for.
        epoch: what the next pass tells its samplers beforehand; None: they know it.
        resumed: the state of a position that the next pass goes on from.
    """

    progress: _BatchProgress
    before_pass: State | None = None
    before_first: State | None = None
    before_latest: State | None = None
    loaders_before_latest: list[State] | None = None
    fetched: int = 0
    epoch: int | None = None
    resumed: Mapping[str, Any] | None = None

    @property
    def is_ahead(self) -> bool:
        """Whether a batch was asked for that is not trained on yet."""
        return self.fetched > self.progress.current.ready

    def state_dict(self) -> State:
        """Return what brings another pass to the batches that are not trained on yet."""
        return {
            "batches": self.progress.current.ready,
            "before_pass": self.before_pass,
            "before_first": self.before_first,
            "before_latest": self.before_latest if self.is_ahead else None,
        }


class PositionedLoader(CombinedLoader):
    """Lightning's container of the training loaders, which notes its position and can go back to one."""

    position: DataPosition
    _looks_ahead = False

    def __iter__(self) -> Self:
        """Begin a pass, at the position that is to be resumed if there is one."""
        position = self.position
        resumed, position.resumed = position.resumed, None
        epoch, position.epoch = position.epoch, None
        if epoch is not None:
            self._tell_samplers(epoch)
        if resumed:
            restore_random_state(resumed["before_pass"])
        position.before_pass, position.fetched = random_state(), 0
        super().__iter__()
        self._looks_ahead = sized_len(self) is None
        if resumed:
            self._go_to(resumed)
        return self

    def _tell_samplers(self, epoch: int) -> None:
        """Lightning does so only after the pass has begun, when loader workers have asked the sampler already."""
        for loader in self.flattened:
            _set_sampler_epoch(loader, epoch)

    def __next__(self) -> Any:
        """Return the next batch."""
        position = self.position
        if position.fetched == 0:
            position.before_first = random_state()
        if self._looks_ahead:
            position.before_latest, position.loaders_before_latest = random_state(), super()._state_dicts()
        batch = super().__next__()
        position.fetched += 1
        return batch

    def _go_to(self, resumed: Mapping[str, Any]) -> None:
        """Ask for the batches that were trained on; a loader with a state of its own is there already."""
        iterators: list[Any] = [] if self._iterator is None else self._iterator.iterators
        there = {i: iterators[i] for i, loader in enumerate(self.flattened) if isinstance(loader, _Stateful)}
        iterators[:] = [repeat(None) if i in there else iterator for i, iterator in enumerate(iterators)]
        restore_random_state(resumed["before_first"])
        for batch in range(resumed["batches"]):
            self._skip(batch, resumed["batches"])
        for i, iterator in there.items():
            iterators[i] = iterator
        if resumed["before_latest"] is not None:
            restore_random_state(resumed["before_latest"])

    def _skip(self, batch: int, batches: int) -> None:
        try:
            next(self)
        except StopIteration:
            raise DataError(
                "a training that goes on in the middle of an epoch must find the batches that it had, it had trained "
                f"on {batches} of this epoch, and there are {batch} now. Give it the same data, or train anew."
            ) from None

    def _state_dicts(self) -> list[State]:
        """Return the states of the loaders that have one, as of the latest batch that is trained on."""
        before = self.position.loaders_before_latest
        return before if before is not None and self._looks_ahead and self.position.is_ahead else super()._state_dicts()


@dataclass
class PositionedSource(_DataLoaderSource):
    """Lightning's source of the training loaders; it gives them a position."""

    position: DataPosition

    def dataloader(self) -> PositionedLoader:
        """Return the loaders of the user's hook, or those given to `fit`, in their container."""
        loaders: Any = super().dataloader()
        if not isinstance(loaders, CombinedLoader):
            loaders = CombinedLoader(loaders, "max_size_cycle")  # as Lightning does
        loader = extended(loaders, PositionedLoader)
        loader.position = self.position
        return loader
