"""Early stopping for a Lightning trainer, decided by a stopping policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from keepbest.callbacks.batch_boundaries import BoundaryCallback, is_at_boundary, resumes_within_epoch
from keepbest.callbacks.lightning_state import TO_LIGHTNING, limits_met, number_of, policy_state_of, worst_score
from keepbest.callbacks.mixed_packages import require_same_package
from keepbest.callbacks.rank_zero import inform, warn
from keepbest.callbacks.weights_restorer import WeightsRestorer, require_whole_weights
from keepbest.errors import ConfigError
from keepbest.stopping.comparison import MODES, Mode
from keepbest.stopping.direction import mode_of
from keepbest.stopping.explanation import explain_stop
from keepbest.stopping.policy import Decision, PolicyState, StoppingPolicy

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor


class EarlyStopping(LightningEarlyStopping, BoundaryCallback):
    """Lightning's EarlyStopping, decided by a `keepbest.StoppingPolicy`; it can also restore the best weights.

    It takes the place of `lightning.pytorch.callbacks.EarlyStopping` in an existing project: the same arguments and
    attributes, the same name and state key, so that each restores its state from the other's checkpoints. The
    differences are these, and no others:

    * The arguments `restore_best_weights`, `baseline`, `start_from_epoch` and the mode `"auto"`.
    * Settings are checked when the object is made. Whole numbers, finite numbers and truth values are what they say:
      `patience=-1`, `"3"`, `3.0` or infinity, `min_delta=-0.1`, an infinite threshold, thresholds on the wrong sides,
      `check_finite=1` and tensors are refused. Modes that a subclass adds to `mode_dict` are unknown to the policy.
    * A reason to stop found before the trainer's `min_epochs` or `min_steps` is not remembered: the decision is made
      anew by each check, and counts from the check that completes them on. (Lightning stops there even when the metric
      has recovered.) `stopping_reason` is set only when it stops.
    * A new fit starts anew. Lightning carries `wait_count` and `best_score` over when the same object is used again.
      Only a fit with a checkpoint (`ckpt_path`) continues, and a state that was loaded by hand before the first fit.
    * On resuming, the configured `patience` holds, not the checkpoint's; a line says so where they differ.
    * Resuming a run that had stopped, and whose reason still stands, trains no further epoch.
    * A trainer of the package `pytorch_lightning` is refused, and one that validates by time is not an error.
    * The wording of the messages.

    Args:
        monitor: the metric to watch.
        min_delta: how much better than the best a value must be, in the metric's units, to count as an improvement.
        patience: checks (not epochs) without improvement after which to stop.
        verbose: say when the metric improves and why the training stops.
        mode: "min", "max", or "auto" to tell by the metric's name.
        strict: whether it is an error when the metric was not logged.
        check_finite: stop when the metric is NaN or infinite.
        stopping_threshold: stop as soon as the metric is better than this.
        divergence_threshold: stop as soon as the metric is worse than this.
        check_on_train_epoch_end: check at the end of the training epoch instead of after validation; None decides by
            the trainer's validation interval.
        log_rank_zero_only: say it on the first rank only.
        restore_best_weights: put the best weights back into the model when the fit has ended, for whatever reason short
            of an exception; no ModelCheckpoint is needed. True takes those of the best check, what a ModelCheckpoint
            keeps; "policy_best" those of the last improvement by `min_delta`, what Keras restores and `best_score`
            names. The copy lives in main memory, and in the checkpoints written while the training is past its best.
        baseline: as in Keras, patience starts anew only on improvements that are also better than this.
        start_from_epoch: as in Keras, checks of earlier epochs (counted from 0) are not looked at.

    Raises:
        MisconfigurationException: for an unknown mode, as Lightning does.
        ConfigError: for any other setting that cannot work, and a name that "auto" cannot tell the mode from.
    """

    def __init__(
        self,
        monitor: str,
        min_delta: float = 0.0,
        patience: int = 3,
        verbose: bool = False,
        mode: str = "min",
        strict: bool = True,
        check_finite: bool = True,
        stopping_threshold: float | None = None,
        divergence_threshold: float | None = None,
        check_on_train_epoch_end: bool | None = None,
        log_rank_zero_only: bool = False,
        *,
        restore_best_weights: bool | Literal["policy_best"] = False,
        baseline: float | None = None,
        start_from_epoch: int = 0,
    ) -> None:
        mode = mode_of(monitor) if mode == "auto" else mode
        if mode in MODES:  # another one is refused by Lightning, with its own kind of error
            StoppingPolicy(mode, patience, min_delta, baseline, start_from_epoch, stopping_threshold,
                           divergence_threshold, check_finite)  # fmt: skip
        if restore_best_weights not in (True, False, "policy_best"):
            raise ConfigError(
                "restore_best_weights must be true, false or 'policy_best'", received=restore_best_weights
            )
        super().__init__(
            monitor=monitor, min_delta=min_delta, patience=patience, verbose=verbose, mode=mode, strict=strict,
            check_finite=check_finite, stopping_threshold=stopping_threshold,
            divergence_threshold=divergence_threshold, check_on_train_epoch_end=check_on_train_epoch_end,
            log_rank_zero_only=log_rank_zero_only,
        )  # fmt: skip
        self.restore_best_weights = restore_best_weights
        self.baseline, self.start_from_epoch = baseline, start_from_epoch
        self._min_epochs = 0
        self._check = _Check(epoch=0, may_stop=True)
        self._state = self.policy.start()
        self._restorer: WeightsRestorer | None = None
        self._loaded_weights: dict[str, Any] | None = None
        self._is_used = self._is_resumed = False

    @property
    def policy(self) -> StoppingPolicy:
        """The settings of now as a pure value; the trainer's `min_epochs` are part of it once a fit has begun."""
        return StoppingPolicy(
            mode=cast("Mode", self.mode),
            patience=self.patience,
            min_delta=self.min_delta if self.mode == "max" else -self.min_delta,  # Lightning turns its sign over
            baseline=self.baseline,
            start_from_epoch=self.start_from_epoch,
            stopping_threshold=self.stopping_threshold,
            divergence_threshold=self.divergence_threshold,
            check_finite=self.check_finite,
            min_epochs=self._min_epochs,
        )

    @property
    def policy_state(self) -> PolicyState:
        """What the policy has seen in this fit."""
        return self._state

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the weights that are restored; None without any, or without `restore_best_weights`."""
        return self._restorer.epoch if self._restorer else None

    @property
    def best_model_score(self) -> float | None:
        """The metric's value at `best_epoch`."""
        return self._restorer.score if self._restorer else None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start anew for a new fit. The checkpoint of a resumed one is loaded after this."""
        require_same_package(self, trainer)
        if self._check_on_train_epoch_end is None and getattr(trainer, "_val_check_time_interval", None) is not None:
            self._check_on_train_epoch_end = False  # Lightning 2.6 fails here: such a trainer has no val_check_interval
        super().setup(trainer, pl_module, stage)
        if stage != "fit":
            return
        if self._is_used:
            self._reset()
        self._is_used, self._is_resumed = True, False
        if self.restore_best_weights:
            require_whole_weights(trainer)
            self._restorer = WeightsRestorer(pl_module, self.monitor, self.policy.mode)
            if self._loaded_weights:
                self._restorer.load_state_dict(self._loaded_weights)
            self._loaded_weights = None

    def _reset(self) -> None:
        self._state = self.policy.start()
        self.wait_count = 0
        self.best_score = torch.tensor(worst_score(self.policy.mode))
        self._forget_stop()

    def _forget_stop(self) -> None:
        self._state.forget_stop()
        self.stopped_epoch = 0
        self.stopping_reason = EarlyStoppingReason.NOT_STOPPED
        self.stopping_reason_message = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End a resumed fit before it trains, if it had stopped and would stop again."""
        self._min_epochs = trainer.min_epochs or 0
        self._state.policy = self.policy
        if not self._is_resumed or not self._state.stopped:
            return
        # a checkpoint of an epoch's last validation does not count that epoch as completed yet
        is_last_check = trainer.is_last_batch and self._state.stopped_epoch == trainer.current_epoch
        completed = trainer.current_epoch + is_last_check
        if self._state.still_stopped() and limits_met(trainer, completed):
            trainer.should_stop |= not resumes_within_epoch(trainer)  # there, the end of the epoch is still to come
            inform(f"The run had stopped early, and is not trained further: {self.stopping_reason_message}")
        else:
            self._forget_stop()

    def on_epoch_resumed(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End a resumed epoch before its next batch, if it had been stopped there and would be again."""
        trainer.should_stop = trainer.should_stop or self._state.stopped
        if self._restorer:
            self._restorer.resume_validation(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note that the weights move on."""
        if self._restorer:
            self._restorer.note_step()

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Note the weights that the validation sees."""
        if self._restorer and batch_idx == dataloader_idx == 0:
            self._restorer.note_validation_start(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check, unless that is done at the end of the training epoch."""
        if self._restorer and not self._should_skip_check(trainer):
            self._restorer.note_validation_end(trainer)
        super().on_validation_end(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the best weights. Later than `on_train_end`, where a checkpoint of the last step may be written."""
        if self._restorer:
            self._restorer.restore()

    def _run_early_stopping_check(self, trainer: Trainer) -> None:
        completed = trainer.current_epoch + (self._check_on_train_epoch_end or trainer.is_last_batch)
        self._check = _Check(trainer.current_epoch, limits_met(trainer, completed))
        super()._run_early_stopping_check(trainer)
        if self._restorer:
            self._restorer.take_check(trainer, self._check.improved)

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        """Ask the policy. Lightning's attributes are the truth between two checks: users set them."""
        state = self._state
        state.policy, state.wait = self.policy, self.wait_count
        state.best = number_of(self.best_score, self.policy.mode)
        decision = state.update(current, self._check.epoch, may_stop=self._check.may_stop)
        message = self._message(decision, current)
        if self.restore_best_weights == "policy_best":
            self._check.improved = decision.improved
        self.wait_count = state.wait
        if decision.improved:
            self.best_score = current
        if decision.reason:
            self.stopping_reason = TO_LIGHTNING[decision.reason]
        return decision.stop, message

    def _message(self, decision: Decision, current: Tensor) -> str | None:
        """Return what happened; called while `best_score` is still the one before this check, for Lightning's words."""
        if decision.improved:
            return self._improvement_message(current)
        return explain_stop(decision.reason, self.monitor, self._state) if decision.reason else None

    def state_dict(self) -> dict[str, Any]:
        """Return Lightning's state, and beside it the policy's and the best weights."""
        own = {"policy_state": self._state.state_dict()}
        if self._restorer:
            own["best_weights"] = self._restorer.state_dict()
        return {**super().state_dict(), **own}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what the latest validation was, while its value may still be checked again by the end of the epoch."""
        if self._restorer and is_at_boundary(trainer):
            state = checkpoint["callbacks"][self.state_key]["best_weights"]
            state["validation"] = self._restorer.validation_state(trainer)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint of this class or of Lightning's."""
        patience = self.patience
        super().load_state_dict(state_dict)
        self.patience, theirs = patience, self.patience
        if theirs != patience:
            inform(f"Early stopping goes on with the configured patience of {patience}, it was {theirs} before.")
        self._is_resumed = True
        self._state = self.policy.start()
        self._state.load_state_dict(state_dict.get("policy_state") or policy_state_of(self))
        if self.restore_best_weights:
            self._load_best_weights(state_dict.get("best_weights"))

    def _load_best_weights(self, state: dict[str, Any] | None) -> None:
        if state is None:
            warn(
                f"The checkpoint holds no best weights: those of {self.monitor} {float(self.best_score):.6g} cannot be "
                "restored, only better ones that come from now on."
            )
            state = {"score": self._state.best, "epoch": None, "weights": {}}
        if self._restorer:
            self._restorer.load_state_dict(state)
        else:  # by hand, before the first fit
            self._loaded_weights = state


@dataclass
class _Check:
    """The check being made. `improved` is what the restorer goes by; None lets it compare."""

    epoch: int
    may_stop: bool
    improved: bool | None = None
