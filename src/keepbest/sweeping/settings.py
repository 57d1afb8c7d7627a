"""The settings of the sweepers: those of `hydra.sweeper`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from keepbest.errors import ConfigError
from keepbest.stopping.comparison import Mode

DIRECTIONS: Mapping[Mode, Literal["minimize", "maximize"]] = {"min": "minimize", "max": "maximize"}
_NODE = "hydra.sweeper"


@dataclass(frozen=True)
class SweepSettings:
    """How a sweep is run.

    Args:
        share: whether jobs that see the same training share it.
        reads_stop: the names of callbacks that do something where the training ends; their jobs train alone.
        dry_run: say what would be done, and do nothing.
        prove: how many members are also trained on their own, and compared.
        fail_fast: start nothing more once a job has failed.
        retries: how often a training that failed is tried again, from its last checkpoint.
        max_batch_size: how many trainings are handed to the launcher at a time; None: all of them.

    Raises:
        ConfigError: for a value out of range.
    """

    share: bool = True
    reads_stop: Sequence[str] = ()
    dry_run: bool = False
    prove: int = 0
    fail_fast: bool = False
    retries: int = 0
    max_batch_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("prove", "retries"):
            if (count := getattr(self, name)) < 0:
                raise ConfigError("it must be at least 0", key=f"{_NODE}.{name}", received=count)
        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise ConfigError(
                "it must be at least 1 training at a time",
                key=f"{_NODE}.max_batch_size",
                received=self.max_batch_size,
                remedy="Write null for all at once",
            )


@dataclass(frozen=True)
class SearchSettings:
    """How a search is run; the names are those of the published hydra-optuna-sweeper.

    Args:
        n_trials: how many trials the search has in all, those of earlier commands in its directory included.
        n_jobs: how many are asked for, and handed to the launcher, at a time.
        sampler: its `_target_` and its arguments.
        direction: `minimize` or `maximize`; None: that of the objective, which it must agree with.
        storage: a database's URL, or the path of a journal; None: a journal in the sweep's directory.
        study_name: of the study in the storage; None: the sweep's id.
        max_failure_rate: the share of trials asked for at a time that may end without a result; with more of them the
            search ends.

    Raises:
        ConfigError: for a value out of range.
    """

    n_trials: int = 20
    n_jobs: int = 2
    sampler: Mapping[str, Any] = field(default_factory=dict)
    direction: str | None = None
    storage: str | None = None
    study_name: str | None = None
    max_failure_rate: float = 1.0

    def __post_init__(self) -> None:
        for name in ("n_trials", "n_jobs"):
            if (count := getattr(self, name)) < 1:
                raise ConfigError("it must be at least 1", key=f"{_NODE}.{name}", received=count)
        if not 0 <= self.max_failure_rate <= 1:
            raise ConfigError("it must be from 0 to 1", key=f"{_NODE}.max_failure_rate", received=self.max_failure_rate)

    def require_direction(self, mode: Mode) -> None:
        """Refuse a direction that is not the objective's.

        Raises:
            ConfigError: when it is another one.
        """
        if self.direction not in (None, DIRECTIONS[mode]):
            raise ConfigError(
                f"it must be that of the objective, whose mode is {mode}: {DIRECTIONS[mode]}",
                key=f"{_NODE}.direction",
                received=self.direction,
                remedy="Leave it out, or change objective.mode",
            )


def sweep_settings(settings: Mapping[str, Any]) -> SweepSettings:
    """Return what any sweeper is told about the sweep."""
    return SweepSettings(**_of(SweepSettings, settings))


def search_settings(settings: Mapping[str, Any]) -> SearchSettings | None:
    """Return what a sweeper is told about a search; None where it is none."""
    found = _of(SearchSettings, settings)
    return SearchSettings(**found) if found else None


def _of(kind: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    names = {known.name for known in dataclasses.fields(kind)}
    return {name: value for name, value in settings.items() if name in names}
