"""keepbest: experiments that stop when they should, keep the best weights and can prove it.

The names below are imported when they are first used, so that `import keepbest` loads neither torch nor Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keepbest.cli.train import train
    from keepbest.reading.run import Run, latest_run, open_run
    from keepbest.stopping.policy import StoppingPolicy

__all__ = ["Run", "StoppingPolicy", "latest_run", "open_run", "train"]

_HOMES = {
    "Run": "keepbest.reading.run",
    "StoppingPolicy": "keepbest.stopping.policy",
    "latest_run": "keepbest.reading.run",
    "open_run": "keepbest.reading.run",
    "train": "keepbest.cli.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
