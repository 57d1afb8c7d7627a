"""How far a trainer believes to be: set for an evaluation, and who asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

_POSITION = ("current_epoch", "global_step")
_LIBRARIES = ("lightning.", "keepbest.")
_MODULES_OWN = "lightning.pytorch.core.module"  # `LightningModule.current_epoch` asks the trainer


def move_to(trainer: Trainer, epochs: int, step: int) -> None:
    """Let a trainer whose fit has ended believe that it ended after fewer epochs and optimizer steps.

    Only what `trainer.current_epoch` and `trainer.global_step` are read from is changed.
    """
    loop = trainer.fit_loop
    loop.epoch_progress.current.completed = epochs
    loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.completed = step
    loop.epoch_loop.manual_optimization.optim_step_progress.total.completed = step


@contextmanager
def readers_of_position(trainer: Trainer) -> Iterator[list[str]]:
    """Collect the modules, other than Lightning's and keepbest's, whose code asks a trainer how far it is."""
    kind, readers = type(trainer), list[str]()
    watched = {name: property(_noting(kind, name, readers)) for name in _POSITION}
    trainer.__class__ = type(kind.__name__, (kind,), watched)
    try:
        yield readers
    finally:
        trainer.__class__ = kind


def _noting(kind: type[Trainer], name: str, readers: list[str]) -> Callable[[Trainer], Any]:
    read = getattr(kind, name).fget

    def noting(trainer: Trainer) -> Any:
        frame: FrameType | None = sys._getframe(1)
        if frame and frame.f_globals.get("__name__") == _MODULES_OWN:
            frame = frame.f_back
        reader = str(frame.f_globals.get("__name__")) if frame else ""
        if not reader.startswith(_LIBRARIES):
            readers.append(reader)
        return read(trainer)

    return noting
