"""The moment between two training batches, for which Lightning has no hook."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.fit_loop import RestartStage as EpochStage
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.training_epoch_loop import RestartStage as BatchStage
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


Kind = TypeVar("Kind")


class BoundaryCallback:
    """Two hooks more, for a callback of a trainer whose loop is a `BoundaryLoop`.

    Lightning's `on_train_batch_end` comes before the module's own, before the validation that may be due, before the
    plateau schedulers and the counters: a checkpoint made there lacks all of them, and a training resumed from it skips
    that validation.
    """

    def on_batch_boundary(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """All of a batch is behind, the validation after it too; the next one, if there is one, was not asked for."""

    def on_epoch_resumed(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A training goes on from a checkpoint made at such a moment: its next batch is asked for after this.

        Neither `on_train_epoch_start` nor what came before that moment is called again.
        """


class BoundaryLoop(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, with the hooks of `BoundaryCallback`.

    Attributes:
        is_at_boundary: whether `on_batch_boundary` is being called: a checkpoint made now is one of such a moment.
        resumes: whether the fit goes on from one.
        is_exact: whether the trainer has what brings back the data's position and the running metrics.
    """

    is_at_boundary = False
    resumes = False
    is_exact = False

    @property
    def is_cut_short(self) -> bool:
        """Whether a stop ends the epoch before its last batch."""
        return self.trainer.should_stop and self.trainer.fit_loop._can_stop_early and not self._is_training_done

    def update_restart_stage(self) -> None:
        """Say where the training goes on. Lightning guesses it from counters, which skipped batches put out of step."""
        self._take_finished_epoch_for_finished()
        super().update_restart_stage()
        if self.resumes:
            self._restart_stage = BatchStage.RESTARTED_ON_LAST
            self.trainer.fit_loop._restart_stage = EpochStage.RESTARTED_MID_EPOCH

    def _take_finished_epoch_for_finished(self) -> None:
        """Begin the next epoch after a checkpoint of an epoch's end, as Lightning does without `max_steps`.

        With it, Lightning ends the finished epoch a second time, without a batch (`_FitLoop.restarting`).
        """
        fit_loop = self.trainer.fit_loop
        if fit_loop._iteration_based_training() and fit_loop.restarted_on_epoch_end:
            _Loop.restarting.fset(fit_loop, False)  # type: ignore[attr-defined]  # its own setter is what is wrong
            fit_loop._restart_stage = EpochStage.RESUMED_ON_EPOCH_END

    def reset(self) -> None:
        """Prepare the counters."""
        with _trusting_the_loader() if self.resumes and self.is_exact else nullcontext():
            super().reset()

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Begin an epoch's batches, or go on with them."""
        if self.resumes:
            self.resumes = False
            # nothing is left to be made up for, which both loops would try: a validation, the schedulers' last step
            self.restarting = self.trainer.fit_loop._restarting = False
            self._tell("on_epoch_resumed")
        super().on_run_start(data_fetcher)

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        """Finish a batch."""
        super().on_advance_end(data_fetcher)
        self.is_at_boundary = True
        try:
            self._tell("on_batch_boundary")
        finally:
            self.is_at_boundary = False

    def _tell(self, hook: str) -> None:
        for callback in self.trainer.callbacks:
            if isinstance(callback, BoundaryCallback):
                getattr(callback, hook)(self.trainer, self.trainer.lightning_module)


@contextmanager
def _trusting_the_loader() -> Iterator[None]:
    """Leave out Lightning's warning that the loader begins anew: it does not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")
        yield


def boundary_loop(trainer: Trainer) -> BoundaryLoop:
    """Return the trainer's loop over batches, which is given the hooks if it has none yet."""
    return extended(trainer.fit_loop.epoch_loop, BoundaryLoop)


def extended(thing: object, kind: type[Kind]) -> Kind:
    """Return an object of Lightning's, made one of `kind` in place; its own class may be a subclass of Lightning's."""
    if not isinstance(thing, kind):
        thing.__class__ = type(kind.__name__, (kind, type(thing)), {})
    return thing  # type: ignore[return-value]  # mypy does not see that its class has changed


def is_at_boundary(trainer: Trainer) -> bool:
    """Return whether a checkpoint made now is one of the moment between two batches."""
    return getattr(trainer.fit_loop.epoch_loop, "is_at_boundary", False)


def stops_within_epoch(trainer: Trainer) -> bool:
    """Return whether an EarlyStopping of keepbest's ends the epoch here, which a training resumed here decides anew."""
    loop = boundary_loop(trainer)
    states = [getattr(stopper, "policy_state", None) for stopper in trainer.early_stopping_callbacks]
    return loop.is_exact and loop.is_cut_short and any(state.stopped for state in states if state)


def ended_early(trainer: Trainer) -> bool:
    """Return whether a checkpoint made now is of the end of an epoch that a stop has cut short."""
    loop = trainer.fit_loop.epoch_loop
    return isinstance(loop, BoundaryLoop) and loop.is_cut_short and not loop.is_at_boundary


def resumes_within_epoch(trainer: Trainer) -> bool:
    """Return whether the fit goes on, and has not yet done so, from a checkpoint made between two batches."""
    return getattr(trainer.fit_loop.epoch_loop, "resumes", False)
