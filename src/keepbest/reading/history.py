"""A recorded history: one training's checks, and what is known of how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keepbest.errors import ConfigError, KeepbestError
from keepbest.reading.recorded_stopping import RecordedStopping
from keepbest.records.run_record import Objective
from keepbest.stopping.comparison import Mode
from keepbest.stopping.direction import mode_of
from keepbest.stopping.trajectory import Trajectory


@dataclass(frozen=True)
class Wanted:
    """What is to be looked at in each history.

    Args:
        monitor: the metric; None for the only one, or the objective's.
        mode: the direction; None for the objective's.
        min_epochs: epochs before any stop; None for what the run's trainer had.
    """

    monitor: str | None = None
    mode: Mode | None = None
    min_epochs: int | None = None


@dataclass(frozen=True, eq=False)
class History:
    """One training's checks.

    Args:
        objective: the metric that is replayed, and its direction.
        trajectory: the checks.
        stopping: what its early stopping was set to.
        config: of the run; None where there is none, as for a table.
    """

    objective: Objective
    trajectory: Trajectory
    stopping: RecordedStopping = field(default_factory=RecordedStopping)
    config: Mapping[str, Any] | None = None


@dataclass
class Notes:
    """What is to be said of histories, apart from what they hold.

    Args:
        left_out: trainings without a history or without a finite best, and rows that were not read, in words.
        repeated: how many trainings are left out because they repeat another one.
        differing: in what the histories differ, apart from the seed and the policy: keys of overrides, or of configs.
    """

    left_out: list[str] = field(default_factory=list)
    repeated: int = 0
    differing: list[str] = field(default_factory=list)


def objective_of(monitor: str, wanted: Wanted) -> Objective:
    """Return the objective of a metric, of which only what is wanted tells the direction.

    Raises:
        ConfigError: where it does not.
    """
    if wanted.mode is None:
        raise ConfigError(
            f"mode must say which direction of {monitor} is better, nothing here tells it",
            remedy=_remedy(monitor),
        )
    return Objective(monitor, wanted.mode)


def _remedy(monitor: str) -> str:
    try:
        return f"Give mode 'min' or 'max'; going by the name, {mode_of(monitor)!r}"
    except KeepbestError:
        return "Give mode 'min' or 'max'"
