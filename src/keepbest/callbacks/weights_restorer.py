"""The best weights of one fit: kept while it goes on, put back when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy

from keepbest.callbacks.agreement import require_agreement
from keepbest.callbacks.logged_metrics import logged_in_training_step
from keepbest.callbacks.rank_zero import inform, warn
from keepbest.checkpoints.best_weights import BestWeights
from keepbest.errors import KeepbestError, TimingError

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

    from keepbest.stopping.comparison import Mode

_SHARDED = (FSDPStrategy, DeepSpeedStrategy, ModelParallelStrategy)


class WeightsRestorer:
    """Keeps a module's best weights in main memory on every rank, for a callback that tells it what happens.

    Args:
        module: the module being fitted.
        monitor: the metric that is compared.
        mode: its better direction.

    Attributes:
        score: the value that the weights were kept for, or None.
        epoch: its epoch, or None.
    """

    def __init__(self, module: LightningModule, monitor: str, mode: Mode) -> None:
        self.monitor = monitor
        self.score: float | None = None
        self.epoch: int | None = None
        self._best: BestWeights | None = BestWeights(module, mode=mode)
        self._weights_changed = True  # since the best ones were kept
        self._validated = _Validation()
        self._resumed: dict[str, Any] | None = None  # the validation before, in an epoch that goes on
        self._has_checked = self._has_warned = False

    def note_step(self) -> None:
        """Note that a training step changes the weights."""
        self._weights_changed = True

    def note_validation_start(self, module: LightningModule) -> None:
        """Note which weights a validation sees."""
        self._validated = _Validation(norm=_norm(module))

    def note_validation_end(self, trainer: Trainer) -> None:
        """Note what the validation measured, and when."""
        value = trainer.callback_metrics.get(self.monitor)
        self._validated = replace(self._validated, step=trainer.global_step, value=value)

    def take_check(self, trainer: Trainer, improved: bool | None) -> None:
        """Keep the weights of now if the metric's value at a check says so.

        Args:
            trainer: the trainer of the fit, after the check.
            improved: whether they are the best; None compares the value with the best so far.

        Raises:
            TimingError: when the value is one that the training step logged.
            RankError: when the ranks would keep different weights.
            KeepbestError: when the weights are not those that the validation saw.
        """
        value = trainer.callback_metrics.get(self.monitor)
        if self._best is None or value is None:
            return
        self._has_checked = True
        is_validated = value is self._validated.value
        if not is_validated:
            self._require_end_of_epoch(trainer)
        require_agreement(trainer, self.monitor, value)
        is_stale = is_validated and self._validated.step != trainer.global_step  # counted again by Lightning
        if not is_stale and (self._best.is_better(value) if improved is None else improved):
            self._keep(trainer, value, is_validated)

    def _require_end_of_epoch(self, trainer: Trainer) -> None:
        if logged_in_training_step(trainer, self.monitor):
            raise TimingError(self.monitor)
        if not self._has_warned:
            warn(
                f"The best weights are kept by {self.monitor}, which the end of the training epoch logs: they are "
                "those of its value only if it was computed with the weights of that moment."
            )
        self._has_warned = True

    def _keep(self, trainer: Trainer, value: Tensor, is_validated: bool) -> None:
        if self._best is None:
            return
        if is_validated and repr(self._validated.norm) != repr(_norm(trainer.lightning_module)):  # NaN equals NaN
            raise KeepbestError(
                "restore_best_weights must find the weights that validation saw, but they have changed since: an "
                "average of the weights (WeightAveraging, an EMA) that is only there while validating, or a hook that "
                "writes to them. Use a ModelCheckpoint and load its best_model_path."
            )
        self._best.keep(value, trainer.current_epoch)
        self.score, self.epoch = self._best.score, self._best.epoch
        self._weights_changed = False

    def restore(self) -> None:
        """Put the best weights into the module and let go of the copy; say which they are, or that there are none.

        Raises:
            KeepbestError: when the module does not take them any more.
        """
        if self._best is None or not self._has_checked:
            return
        best, self._best = self._best, None
        try:
            restored = best.restore()
        except RuntimeError as error:
            raise KeepbestError(
                f"the model must have the parameters that it had in epoch {self.epoch}, whose weights cannot be "
                f"restored ({error}). Something has renamed or removed them since, such as ModelPruning."
            ) from error
        if restored:
            self._weights_changed = False
            inform(f"Restored the weights of epoch {self.epoch}, {self.monitor} {self.score:.6g}.")
        else:
            than = "nothing: none was a number" if best.score is None else f"{best.score:.6g}"
            warn(
                f"No best weights were restored: no check of {self.monitor} in this fit was better than {than}, or "
                "none came right after its validation. The model has the weights of the last step."
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed fit needs. The copy is part of it only when the module has moved on from the best."""
        state = self._best.state_dict() if self._best else {"score": self.score, "epoch": self.epoch, "weights": {}}
        return state if self._weights_changed else {**state, "weights": None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; the module holds the weights of the same checkpoint already."""
        if self._best is None:
            return
        self._has_checked = True  # in the training that is resumed
        self._resumed = state.get("validation")
        score, epoch = state["score"], state["epoch"]
        if state["weights"] is None and score is not None:
            self._best.keep(score, epoch)
        else:
            self._best.load_state_dict(state)
        self.score, self.epoch = (None, None) if epoch is None else (score, epoch)

    def validation_state(self, trainer: Trainer) -> dict[str, Any]:
        """Return what the latest validation was; that its value is the latest one is told by the tensor's identity."""
        seen = self._validated
        is_latest = seen.value is not None and seen.value is trainer.callback_metrics.get(self.monitor)
        return {"norm": seen.norm, "step": seen.step, "is_latest": is_latest}

    def resume_validation(self, trainer: Trainer) -> None:
        """Go on in an epoch after that validation, with what was logged back in place."""
        seen, self._resumed = self._resumed, None
        if seen:
            value = trainer.callback_metrics.get(self.monitor) if seen["is_latest"] else None
            self._validated = _Validation(seen["norm"], seen["step"], value)


@dataclass(frozen=True)
class _Validation:
    """The validation before a check: the norm of the weights that it saw, the steps taken until then, and its value."""

    norm: float | None = None
    step: int | None = None
    value: Tensor | None = None


def _norm(module: LightningModule) -> float:
    """Return a number that tells weights apart, at the price of reading them once. Buffers may count validations."""
    with torch.no_grad():
        return float(torch.nn.utils.get_total_norm(list(module.parameters())))


def require_whole_weights(trainer: Trainer) -> None:
    """Refuse a strategy under which no process holds all weights.

    Raises:
        KeepbestError: for FSDP, DeepSpeed and model parallelism.
    """
    if isinstance(trainer.strategy, _SHARDED):
        raise KeepbestError(
            "restore_best_weights must have the whole model on each device, got "
            f"{type(trainer.strategy).__name__}, which spreads it. Use a ModelCheckpoint and load its best_model_path."
        )
