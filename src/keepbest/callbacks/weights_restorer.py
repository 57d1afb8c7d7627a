"""The best weights of one fit: kept while it goes on, put back when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
        self._validated_step: int | None = None

    def note_step(self) -> None:
        """Note that a training step changes the weights."""
        self._weights_changed = True

    def note_validation(self, trainer: Trainer) -> None:
        """Note which weights a validation has seen."""
        self._validated_step = trainer.global_step

    def take_check(self, trainer: Trainer, value: Tensor, improved: bool | None) -> None:
        """Keep the weights of now if a check says so.

        Args:
            trainer: the trainer of the fit.
            value: the metric's value at the check.
            improved: whether they are the best; None compares the value with the best so far.

        Raises:
            TimingError: when the value does not belong to the weights of now, because the training step logged it.
            RankError: when the ranks would keep different weights.
        """
        if self._best is None:
            return
        if logged_in_training_step(trainer, self.monitor):
            raise TimingError(self.monitor)
        require_agreement(trainer, self.monitor, value)
        if improved is None:
            improved = self._best.is_better(value)
        if improved:
            self._keep(trainer, value)

    def _keep(self, trainer: Trainer, value: Tensor) -> None:
        if self._best is None or self._validated_step not in (None, trainer.global_step):
            raise KeepbestError(
                "restore_best_weights must check at the validation that measured the metric, not at the end of an "
                "epoch that went on after it. Leave check_on_train_epoch_end at its default."
            )
        self._best.keep(value, trainer.current_epoch)
        self.score, self.epoch = self._best.score, self._best.epoch
        self._weights_changed = False

    def restore(self) -> None:
        """Put the best weights into the module and let go of the copy; say which they are, or that there are none."""
        if self._best is None:
            return
        if self._best.restore():
            self._weights_changed = False
            inform(f"Restored the weights of epoch {self.epoch}, {self.monitor} {self.score:.6g}.")
        else:
            warn(
                f"No best weights were restored: no check of {self.monitor} in this fit was better than "
                f"{'nothing: none was a number' if self._best.score is None else f'{self._best.score:.6g}'}. "
                "The model has the weights of the last step."
            )
        self._best = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed fit needs. The copy is part of it only when the module has moved on from the best."""
        state = self._best.state_dict() if self._best else {"score": self.score, "epoch": self.epoch, "weights": {}}
        return state if self._weights_changed else {**state, "weights": None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; the module holds the weights of the same checkpoint already."""
        if self._best is None:
            return
        score, epoch = state["score"], state["epoch"]
        if state["weights"] is None and score is not None:
            self._best.keep(score, epoch)
        else:
            self._best.load_state_dict(state)
        self.score, self.epoch = (None, None) if epoch is None else (score, epoch)


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
