"""The sweeper of `hydra/sweeper=optuna`, as Hydra discovers it. What it does is in `keepbest.sweeping.search`.

Hydra imports this module in every application of the environment, with or without Optuna, so it must import quickly and
never fail; for the annotations see `keepbest_sweeper`. The published hydra-optuna-sweeper registers the same names: who
has both in one environment gets whichever Hydra finds last.
"""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional  # noqa: UP035 - OmegaConf reads the annotations of the settings

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig

_SAMPLERS: Dict[str, Dict[str, Any]] = {  # noqa: UP006
    "tpe": {"_target_": "optuna.samplers.TPESampler", "seed": None, "n_startup_trials": 10, "multivariate": None},
    "random": {"_target_": "optuna.samplers.RandomSampler", "seed": None},
    "grid": {"_target_": "optuna.samplers.GridSampler", "seed": None},
    "brute_force": {"_target_": "optuna.samplers.BruteForceSampler", "seed": None},
    "qmc": {"_target_": "optuna.samplers.QMCSampler", "seed": None, "qmc_type": "sobol", "scramble": False},
    "gp": {"_target_": "optuna.samplers.GPSampler", "seed": None, "n_startup_trials": 10},
    "cmaes": {"_target_": "optuna.samplers.CmaEsSampler", "seed": None, "n_startup_trials": 1},
    "nsgaii": {"_target_": "optuna.samplers.NSGAIISampler", "seed": None, "population_size": 50},
}


@dataclass
class KeepbestOptunaSweeperConf:
    """The settings of `hydra.sweeper`; `keepbest.sweeping.settings` says what they mean."""

    _target_: str = "hydra_plugins.keepbest_optuna_sweeper.KeepbestOptunaSweeper"
    _recursive_: bool = False  # the sampler is made where the search is, not by whoever makes the sweeper
    _convert_: str = "all"
    defaults: List[Any] = field(default_factory=lambda: [{"sampler": "tpe"}])  # noqa: UP006
    sampler: Dict[str, Any] = MISSING  # noqa: UP006
    n_trials: int = 20
    n_jobs: int = 2
    direction: Optional[str] = None  # noqa: UP045
    storage: Optional[str] = None  # noqa: UP045
    study_name: Optional[str] = None  # noqa: UP045
    max_failure_rate: float = 1.0
    params: Optional[Dict[str, str]] = None  # noqa: UP006, UP045
    share: bool = True
    reads_stop: List[str] = field(default_factory=list)  # noqa: UP006
    dry_run: bool = False
    fail_fast: bool = False
    retries: int = 0


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=KeepbestOptunaSweeperConf, provider="keepbest")
for _name, _node in _SAMPLERS.items():
    ConfigStore.instance().store(group="hydra/sweeper/sampler", name=_name, node=_node, provider="keepbest")


class KeepbestOptunaSweeper(BasicSweeper):
    """Jobs that Optuna asks for; those of keepbest that see the same training share it."""

    def __init__(self, params: dict[str, str] | None = None, **settings: Any) -> None:
        super().__init__(max_batch_size=None, params=params)
        self._settings = settings
        self._task: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what belongs to the application."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._task = task_function

    def sweep(self, arguments: list[str]) -> Any:
        """Run the search."""
        host: Any = getattr(self._task, "__self__", None)
        if not hasattr(host, "sweep"):
            raise HydraException("This hydra/sweeper=optuna is keepbest's, and searches for `keepbest train` alone.")
        return host.sweep(self, arguments, self._settings)
