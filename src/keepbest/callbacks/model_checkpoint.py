"""A checkpoint callback whose best is the best, wherever the run was moved and however many processes train it."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint as LightningModelCheckpoint

from keepbest.callbacks.agreement import require_agreement
from keepbest.callbacks.batch_boundaries import BoundaryCallback, boundary_loop, is_at_boundary, stops_within_epoch
from keepbest.callbacks.mixed_packages import require_same_package
from keepbest.callbacks.moved_checkpoints import locate_checkpoints
from keepbest.errors import ConfigError, did_you_mean
from keepbest.stopping.comparison import Mode, is_better
from keepbest.stopping.policy import StoppingPolicy

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

EVERY_EPOCH = "every_epoch"


class ModelCheckpoint(LightningModelCheckpoint, BoundaryCallback):
    """Lightning's ModelCheckpoint, whose best is the strict optimum of the checks and stays it.

    It takes the place of `lightning.pytorch.callbacks.ModelCheckpoint` in an existing project: the same arguments and
    attributes, the same name and state key, so that each restores its state from the other's checkpoints. The
    differences are these, and no others:

    * The arguments `save_best_only`, `min_delta` and `save_last_every_n_train_steps`, and `save_last="every_epoch"`.
    * NaN, and the infinity at the bad end, are never a best: a run whose metric was never a number has an empty
      `best_model_path`. (Lightning keeps the first such epoch, with an infinite score.)
    * On resuming, the best ones keep their scores: in a moved or copied run, which is known by the checkpoint that is
      resumed, and when the training goes on in another directory. (Lightning forgets them there, and the next epoch,
      however bad, is the best.) Files of the directory it went on from are never removed. A best file that is gone is
      dropped with a warning. (Lightning keeps its path and score.)
    * Ranks that see different values of the metric that is kept by are an error, on all of them; names of files are
      those of the first rank. (Lightning's ranks go on with different best paths.)
    * A metric in `filename` that neither the first validation nor the first epoch has logged is an error. (Lightning
      writes 0.)
    * Any other `save_last` than those below is refused, and a trainer of the package `pytorch_lightning`.

    Args:
        dirpath: where the checkpoints go; None: below the logger's or the trainer's directory.
        filename: their name, with metrics in braces such as `{epoch}-{val_loss:.2f}`.
        monitor: the metric whose best checkpoints are kept; None keeps the latest.
        verbose: say what is saved.
        save_last: True or "link" as in Lightning: also as `last.ckpt`, whenever a checkpoint is saved; "every_epoch":
            at the end of every epoch, and whole, also with `save_weights_only`, so that a training can be resumed.
        save_top_k: how many of the best to keep; -1 for all.
        save_on_exception: save also when an exception ends the training.
        save_weights_only: leave out what a resumed training needs.
        mode: "min" or "max".
        auto_insert_metric_name: put the metric's name into the file name.
        every_n_train_steps: how often to save, in training steps.
        train_time_interval: how often to save, in time.
        every_n_epochs: how often to save, in epochs.
        save_on_train_epoch_end: at the end of the training epoch instead of after validation; None decides by the
            trainer's validation interval.
        enable_version_counter: give a new name instead of writing over a file of another run.
        save_best_only: as in Keras: nothing but the one best checkpoint; it needs `monitor`.
        min_delta: how much better than the kept one a checkpoint must be to replace it, in the metric's units. With the
            early stopping's value both accept the same improvements; 0 keeps the strict best.
        save_last_every_n_train_steps: with `save_last="every_epoch"`: also after every so many optimizer steps, between
            two batches. A run of `keepbest train` goes on from there exactly. In a trainer of your own Lightning begins
            the epoch's data anew, unless `keepbest.callbacks.epoch_in_progress.EpochInProgress` and, after it,
            `keepbest.callbacks.random_states.RandomStates` are the first of its callbacks.

    Raises:
        MisconfigurationException: where Lightning does, and for another `save_last`.
        ConfigError: for `save_best_only`, `min_delta` or `save_last_every_n_train_steps` beside arguments that they
            contradict, or out of range.
    """

    def __init__(
        self,
        dirpath: str | Path | None = None,
        filename: str | None = None,
        monitor: str | None = None,
        verbose: bool = False,
        save_last: bool | Literal["link", "every_epoch"] | None = None,
        save_top_k: int = 1,
        save_on_exception: bool = False,
        save_weights_only: bool = False,
        mode: str = "min",
        auto_insert_metric_name: bool = True,
        every_n_train_steps: int | None = None,
        train_time_interval: timedelta | None = None,
        every_n_epochs: int | None = None,
        save_on_train_epoch_end: bool | None = None,
        enable_version_counter: bool = True,
        *,
        save_best_only: bool = False,
        min_delta: float = 0.0,
        save_last_every_n_train_steps: int | None = None,
    ) -> None:
        super().__init__(
            dirpath=dirpath, filename=filename, monitor=monitor, verbose=verbose,
            save_last=save_last,  # type: ignore[arg-type]  # Lightning takes whatever is true for True
            save_top_k=save_top_k, save_on_exception=save_on_exception, save_weights_only=save_weights_only,
            mode=mode, auto_insert_metric_name=auto_insert_metric_name, every_n_train_steps=every_n_train_steps,
            train_time_interval=train_time_interval, every_n_epochs=every_n_epochs,
            save_on_train_epoch_end=save_on_train_epoch_end, enable_version_counter=enable_version_counter,
        )  # fmt: skip
        if not isinstance(save_best_only, bool):
            raise ConfigError("save_best_only must be true or false", received=save_best_only)
        if save_last not in (None, True, False, "link", EVERY_EPOCH):
            raise MisconfigurationException(
                f"save_last must be true, false, 'link' or '{EVERY_EPOCH}', got {save_last!r}."
            )
        self.save_best_only = save_best_only
        self.min_delta = StoppingPolicy(min_delta=min_delta).min_delta
        self.save_last_every_n_train_steps = save_last_every_n_train_steps
        self._steps_before = 0  # at the boundary between batches before
        self._saved_at_stop: int | None = None  # the step of a stop within an epoch, if the last checkpoint is of it
        self._missing_is_error = False  # until a validation, or an epoch, has logged what it logs
        self._is_dying = False
        self._not_ours: set[str] = set()  # checkpoints of the directory that a training went on from
        self._own_value: Tensor | None = None
        self._resumed_from: str | None = None
        self._require_one_best()
        self._require_last()

    def _require_one_best(self) -> None:
        for name in ("save_best_only", "min_delta"):
            if getattr(self, name) and (self.monitor is None or self.save_top_k != 1):
                raise ConfigError(
                    f"{name} keeps one best checkpoint: it needs monitor, and save_top_k=1",
                    received=f"monitor={self.monitor!r}, save_top_k={self.save_top_k}",
                )

    def _require_last(self) -> None:
        name, steps = "save_last_every_n_train_steps", self.save_last_every_n_train_steps
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
            raise ConfigError(f"{name} must be a whole number of optimizer steps, at least 1", received=steps)
        if steps and self.save_last != EVERY_EPOCH:
            raise ConfigError(f"{name} needs save_last={EVERY_EPOCH!r}", received=self.save_last)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find out where the checkpoints go."""
        require_same_package(self, trainer)
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._missing_is_error, self._is_dying, self._saved_at_stop = False, False, None
            if self.save_last_every_n_train_steps:
                boundary_loop(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the step that a fit goes on from."""
        super().on_train_start(trainer, pl_module)
        self._steps_before = trainer.global_step

    def on_batch_boundary(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state between two batches, where that is asked for, and where early stopping cuts the epoch short.

        From that moment, and not from the end that the epoch is given then, a run goes on that is given more patience.
        After the epoch's last batch nothing is saved: its end follows at once.
        """
        before, self._steps_before = self._steps_before, trainer.global_step
        if self.save_last != EVERY_EPOCH or trainer.fast_dev_run:  # type: ignore[attr-defined]  # set elsewhere
            return
        loop, every = boundary_loop(trainer), self.save_last_every_n_train_steps
        if stops_within_epoch(trainer) and not loop._should_accumulate():
            self._save_whole_last(trainer)
            self._saved_at_stop = trainer.global_step
        elif every and trainer.global_step // every > before // every and not loop.done:
            self._save_whole_last(trainer)

    def on_epoch_resumed(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the checkpoint of a stop within an epoch in its place, if the fit was resumed from it to stop again."""
        is_there = Path(self.last_model_path).resolve() == Path(str(trainer.ckpt_path)).resolve()
        self._saved_at_stop = trainer.global_step if is_there and stops_within_epoch(trainer) else None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best ones, where that is done after validation."""
        self._missing_is_error = self._missing_is_error or not trainer.sanity_checking
        super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best ones, then the state at the end of this epoch."""
        self._missing_is_error = True
        saved = self._last_global_step_saved
        super().on_train_epoch_end(trainer, pl_module)
        if self.save_last != EVERY_EPOCH or trainer.fast_dev_run:  # type: ignore[attr-defined]  # set elsewhere
            return
        is_saved_at_stop = self._saved_at_stop == trainer.global_step and saved == self._last_global_step_saved
        if not is_saved_at_stop:
            self._save_whole_last(trainer)

    def _save_whole_last(self, trainer: Trainer) -> None:
        """Save the last state. The best ones are saved as without it: a validation may still come at this very step."""
        wanted, self.save_weights_only = self.save_weights_only, False
        before = self._last_global_step_saved, self._last_checkpoint_saved
        try:
            super()._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
        finally:
            self.save_weights_only = wanted
            self._last_global_step_saved, self._last_checkpoint_saved = before

    def _save_last_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        if self.save_last != EVERY_EPOCH:  # for Lightning any text is true, and it would save it with every best one
            super()._save_last_checkpoint(trainer, monitor_candidates)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save the state, if that was asked for. It must not hide the exception, nor wait for other ranks."""
        self._missing_is_error, self._is_dying = False, True
        super().on_exception(trainer, pl_module, exception)

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Return whether a checkpoint of this value belongs to the best ones."""
        if current is None or self.save_top_k == -1:
            return current is not None
        full = len(self.best_k_models) >= self.save_top_k
        worst_kept = float(self.best_k_models[self.kth_best_model_path]) if full else None
        return is_better(current, worst_kept, cast("Mode", self.mode), self.min_delta)

    def _monitor_candidates(self, trainer: Trainer) -> dict[str, Tensor]:
        """Return the metrics by name, those of the first rank on every rank, so that all of them act alike."""
        own = super()._monitor_candidates(trainer)
        self._own_value = own.get(self.monitor) if self.monitor else None
        if trainer.world_size == 1 or self._is_dying:
            return own
        # on the CPU: a tensor on the first rank's device would arrive there on the others
        first: dict[str, Tensor] = trainer.strategy.broadcast({name: value.cpu() for name, value in own.items()})
        return first

    def _save_monitor_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        require_agreement(trainer, str(self.monitor), self._own_value)
        super()._save_monitor_checkpoint(trainer, monitor_candidates)

    def _should_remove_checkpoint(self, trainer: Trainer, previous: str, current: str) -> bool:
        if previous in self._not_ours or previous == str(trainer.ckpt_path):
            return False
        return super()._should_remove_checkpoint(trainer, previous, current)

    def _format_checkpoint_name(
        self,
        filename: str | None,
        metrics: dict[str, Tensor],
        prefix: str | None = None,
        auto_insert_metric_name: bool = True,
    ) -> str:
        missing = [name for name in _NAMES.findall(filename or "") if name not in metrics]
        if missing and self._missing_is_error:
            raise ConfigError(
                f"filename must name metrics that were logged, {missing[0]!r} was not; logged: {', '.join(metrics)}",
                received=filename,
                remedy=did_you_mean(missing[0], metrics),
            )
        return super()._format_checkpoint_name(filename, metrics, prefix, auto_insert_metric_name)

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self._forget_infinite_best()
        super()._save_checkpoint(trainer, filepath)

    def _forget_infinite_best(self) -> None:
        """Lightning stores NaN as the infinity at the bad end: saved, as `save_top_k=-1` demands, but never a best."""
        if self.best_model_score is not None and not is_better(self.best_model_score, None, cast("Mode", self.mode)):
            self.best_model_path, self.best_model_score = "", None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add to a checkpoint between two batches what decides whether the next validation saves."""
        if is_at_boundary(trainer):
            checkpoint["callbacks"][self.state_key].update({name: getattr(self, name) for name in _SAVED})

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note which checkpoint is loaded; its directory tells whether the run was moved."""
        self._resumed_from = str(trainer.ckpt_path) if trainer.ckpt_path else None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint of this class or of Lightning's, written in this directory or another."""
        state = locate_checkpoints(state_dict, self._resumed_from, cast("Mode", self.mode), self._fs.exists)
        super().load_state_dict({**state, "dirpath": self.dirpath})
        for name in _SAVED.intersection(state):
            setattr(self, name, state[name])
        ours = f"{self.dirpath}/" if state["dirpath"] == self.dirpath else None
        kept = {*self.best_k_models, self.best_model_path, self.last_model_path}
        self._not_ours = {path for path in kept if ours is None or not path.startswith(ours)}
        self._forget_infinite_best()


_SAVED = frozenset({"_last_global_step_saved", "_defer_save_until_validation"})
_NAMES = re.compile(r"\{(.*?)[:}]")
