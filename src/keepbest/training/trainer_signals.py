"""Signals while Lightning's trainer is at work."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from keepbest.training.interruption import Interruption, in_main_thread
from keepbest.training.requeue import requeue, requeue_signal, require_no_checkpoint_of_lightnings

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


@contextmanager
def signals_taken_from(trainer: Trainer, interruption: Interruption) -> Iterator[None]:
    """Let keepbest, and not Lightning, take the signals that come while a trainer works in the block.

    Lightning's handlers do their work wherever the main thread stands: the one for SIGTERM logs, and under DDP waits
    for a broadcast in which the other ranks need not be; the one for SLURM's signal saves whatever is half computed.

    Raises:
        KeepbestError: for a run directory with a checkpoint that Lightning would load under SLURM.
    """
    require_no_checkpoint_of_lightnings(trainer)
    trainer._signal_connector.register_signal_handlers = _nothing  # type: ignore[method-assign]
    watch = TrainerSignals(interruption)
    trainer.callbacks.insert(0, watch)  # type: ignore[attr-defined]  # set by a connector, not in __init__
    number = requeue_signal(trainer)
    if number is None or not in_main_thread():
        yield
        return
    before = signal.signal(number, watch.note_requeue)
    try:
        yield
    finally:
        signal.signal(number, before)


def _nothing() -> None:
    """Register nothing."""


class TrainerSignals(Callback):
    """Acts on signals at the end of a batch, where nothing is half done, and lets the trainer end undisturbed.

    Args:
        interruption: what SIGINT and SIGTERM do. They were raised when they came; here again if something swallowed it.
    """

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._process = os.getpid()
        self._requeue: int | None = None

    def note_requeue(self, number: int, frame: FrameType | None) -> None:
        """Take SLURM's signal; one of a loader's workers, which gets it too, does nothing."""
        if os.getpid() == self._process:
            self._requeue = number

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Act on signals."""
        self._act(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Act on signals."""
        self._act(trainer)

    def on_test_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Act on signals."""
        self._act(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Let no signal disturb what the trainer has left to do, such as writing a checkpoint to its end."""
        self._interruption.end()

    def _act(self, trainer: Trainer) -> None:
        self._interruption.check()
        number, self._requeue = self._requeue, None
        if number is not None and trainer.is_global_zero and requeue():
            self._interruption(number, None)
