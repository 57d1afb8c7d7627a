"""keepbest: experiments that stop when they should, keep the best weights and can prove it.

The names below are imported when they are first used, so that `import keepbest` loads neither torch nor Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keepbest.callbacks.early_stopping import EarlyStopping
    from keepbest.callbacks.model_checkpoint import ModelCheckpoint
    from keepbest.checkpoints.best_weights import BestWeights
    from keepbest.checkpoints.training_state import load_checkpoint, save_checkpoint
    from keepbest.cli.api import train
    from keepbest.reading.catalogue import list_runs
    from keepbest.reading.comparison import compare
    from keepbest.reading.replay import replay
    from keepbest.reading.run import Run, latest_run, open_run
    from keepbest.reading.sweep import Sweep, latest_sweep, open_sweep
    from keepbest.stopping.policy import StoppingPolicy

__all__ = [
    "BestWeights",
    "EarlyStopping",
    "ModelCheckpoint",
    "Run",
    "StoppingPolicy",
    "Sweep",
    "compare",
    "latest_run",
    "latest_sweep",
    "list_runs",
    "load_checkpoint",
    "open_run",
    "open_sweep",
    "replay",
    "save_checkpoint",
    "train",
]

_HOMES = {
    "BestWeights": "keepbest.checkpoints.best_weights",
    "EarlyStopping": "keepbest.callbacks.early_stopping",
    "ModelCheckpoint": "keepbest.callbacks.model_checkpoint",
    "Run": "keepbest.reading.run",
    "StoppingPolicy": "keepbest.stopping.policy",
    "Sweep": "keepbest.reading.sweep",
    "compare": "keepbest.reading.comparison",
    "latest_run": "keepbest.reading.run",
    "latest_sweep": "keepbest.reading.sweep",
    "list_runs": "keepbest.reading.catalogue",
    "load_checkpoint": "keepbest.checkpoints.training_state",
    "open_run": "keepbest.reading.run",
    "open_sweep": "keepbest.reading.sweep",
    "replay": "keepbest.reading.replay",
    "save_checkpoint": "keepbest.checkpoints.training_state",
    "train": "keepbest.cli.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
