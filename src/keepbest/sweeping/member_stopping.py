"""The stopping policies of all members, watching one training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np
import torch

from keepbest.callbacks.early_stopping import EarlyStopping
from keepbest.stopping.explanation import explain_stop
from keepbest.stopping.policy import PolicyState, StoppingPolicy

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

    from keepbest.records.run_record import Objective


_KEY = "keepbest_members"


@dataclass
class Watch:
    """What one member's policy has seen.

    Attributes:
        state: the policy's; None for a member that only the trainer's limits end.
        message: why it said stop; None while it has not.
        concluded: the name of the ending that holds for it, see `Endings`; None while the training goes on for it.
    """

    state: PolicyState | None
    message: str | None = None
    concluded: str | None = None

    @property
    def stopped(self) -> bool:
        """Whether the policy has said stop."""
        return self.state is not None and self.state.stopped


class MemberStopping(EarlyStopping):
    """Shows every check to the policies of all members, and ends the training once each of them has said stop.

    Each member is treated as its own `keepbest.EarlyStopping` would treat it: the same checks, the same limits.

    Args:
        objective: what the policies watch.
        policies: one per member; None for one that has none.
        check_on_train_epoch_end: as in `EarlyStopping`.
        strict: as in `EarlyStopping`.

    Attributes:
        watches: what each member's policy has seen.
        has_news: whether one may have said stop whose ending is not concluded; whoever concludes sets it back.
    """

    def __init__(
        self,
        objective: Objective,
        policies: Sequence[StoppingPolicy | None],
        *,
        check_on_train_epoch_end: bool | None = None,
        strict: bool = True,
    ) -> None:
        longest = max((policy.patience for policy in policies if policy), default=0)
        super().__init__(
            objective.monitor,
            mode=objective.mode,
            patience=longest,
            strict=strict,
            check_finite=False,
            check_on_train_epoch_end=check_on_train_epoch_end,
        )
        self.watches = [Watch(policy.start() if policy else None) for policy in policies]
        self._alive = [watch.state for watch in self.watches if watch.state]
        self._all_may_stop = len(self._alive) == len(self.watches)
        self.has_news = False

    def newly_stopped(self) -> list[Watch]:
        """Return those that have said stop, and whose ending is not concluded."""
        return [watch for watch in self.watches if watch.stopped and watch.concluded is None]

    @property
    def _all_have_stopped(self) -> bool:
        return self._all_may_stop and not self._alive

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the trainer's `min_epochs`; end a resumed fit before its first epoch, if all had stopped."""
        for watch in self.watches:
            if watch.state:
                watch.state.policy = dataclasses.replace(watch.state.policy, min_epochs=trainer.min_epochs or 0)
        trainer.should_stop = trainer.should_stop or self._all_have_stopped

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        value = _scalar(current)
        for state in self._alive:
            state.update(value, self._check.epoch, may_stop=self._check.may_stop)
        if any(state.stopped for state in self._alive):
            self._explain()
        return self._all_have_stopped, None

    def _explain(self) -> None:
        for watch in self.watches:
            if watch.message is None and watch.state and watch.state.reason:
                watch.message = explain_stop(watch.state.reason, self.monitor, watch.state)
        self._alive = [state for state in self._alive if not state.stopped]
        self.has_news = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put into the checkpoint what every policy has seen."""
        checkpoint[_KEY] = [_plain(watch) for watch in self.watches]

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on where the policies were, where a fit does; weights are also loaded to be evaluated."""
        if trainer.state.fn != "fit":
            return
        for watch, saved in zip(self.watches, checkpoint[_KEY], strict=True):
            watch.message, watch.concluded = saved["message"], saved["concluded"]
            if watch.state:
                watch.state.load_state_dict(saved["state"])
        self._alive = [watch.state for watch in self.watches if watch.state and not watch.state.stopped]
        self.has_news = bool(self.newly_stopped())

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: Lightning would load it also where weights are loaded to be evaluated."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load nothing, see `on_load_checkpoint`."""


def _scalar(value: Tensor) -> SupportsFloat:
    """Return a value as a NumPy scalar of its own type, which a thousand policies compare faster than a tensor."""
    kind = _NUMPY_TYPES.get(value.dtype)
    return kind(value.item()) if kind else value


_NUMPY_TYPES: dict[torch.dtype, Callable[[float], SupportsFloat]] = {
    torch.float16: np.float16,
    torch.float32: np.float32,
    torch.float64: np.float64,
}


def _plain(watch: Watch) -> dict[str, Any]:
    return {
        "state": watch.state.state_dict() if watch.state else None,
        "message": watch.message,
        "concluded": watch.concluded,
    }
