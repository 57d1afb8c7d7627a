"""The state of a shared training, taken for that of a member's own job which stopped there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from keepbest.callbacks.batch_boundaries import BoundaryCallback
from keepbest.callbacks.early_stopping import EarlyStopping
from keepbest.callbacks.lightning_state import state_of_stopped
from keepbest.errors import KeepbestError
from keepbest.sweeping.endings import ENDINGS
from keepbest.sweeping.module_memory import changed, memory_of

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

    from keepbest.records.run_record import Objective
    from keepbest.sweeping.member_stopping import Watch


class NotRestoredError(KeepbestError):
    """What was kept of a moment is not all that the module knew then.

    Args:
        names: of the attributes that differ.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(names)
        super().__init__(
            "a module must have all that it knew when this job's training ended, and what it keeps in "
            f"{', '.join(self.names)} could not be given back. hydra.sweeper.share=false trains each job on its own."
        )


class OwnState(Callback, BoundaryCallback):
    """Turns a checkpoint that `Endings` kept into the one that a member's own job would have written, while it loads.

    The early stopping of the member has stopped, and what is kept lies in the member's directory. All else is the same
    in both: the trajectory is.

    Args:
        watch: what the member's policy has seen; it has stopped.
        objective: what it watches.
        directory: the member's, resolved.
    """

    def __init__(self, watch: Watch, objective: Objective, directory: Path) -> None:
        self._watch, self._objective, self._directory = watch, objective, directory
        self._memory: dict[str, str] = {}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Change the callbacks' states, which they are given after this."""
        if trainer.state.fn != "fit":
            return
        assert self._watch.state is not None
        shared = checkpoint[ENDINGS]
        states = _moved(checkpoint["callbacks"], shared["directory"], str(self._directory))
        for state in states.values():
            if isinstance(state, dict) and "last_model_path" in state:
                state["last_model_path"] = str(trainer.ckpt_path)
        key = EarlyStopping(self._objective.monitor, mode=self._objective.mode).state_key
        checkpoint["callbacks"] = {**states, key: state_of_stopped(self._watch.state, self._watch.message)}
        self._memory = shared["memory"]

    def on_epoch_resumed(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare what the module knows now with what it knew then.

        Raises:
            NotRestoredError: when it is not the same.
        """
        now = memory_of(pl_module)
        different = changed(self._memory, now)
        if different:
            raise NotRestoredError(different)


def _moved(value: Any, old: str, new: str) -> Any:
    """Return a state with the paths below one directory put below another."""
    if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
        return new + value.removeprefix(old)
    if isinstance(value, dict):
        return {_moved(key, old, new): _moved(item, old, new) for key, item in value.items()}
    return [_moved(item, old, new) for item in value] if isinstance(value, list) else value
