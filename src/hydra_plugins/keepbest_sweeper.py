"""The sweeper that `keepbest train -m` uses, as Hydra discovers it. What it does is in `keepbest.sweeping`.

Hydra imports this module in every application of the environment, so it must import quickly and never fail. It does so
without naming the module in `sys.modules`: annotations must not be postponed, a dataclass would look them up there.
"""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional  # noqa: UP035 - OmegaConf reads the annotations of the settings

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class KeepbestSweeperConf:
    """The settings of `hydra.sweeper`; `keepbest.sweeping.settings` says what they mean."""

    _target_: str = "hydra_plugins.keepbest_sweeper.KeepbestSweeper"
    max_batch_size: Optional[int] = None  # noqa: UP045
    params: Optional[Dict[str, str]] = None  # noqa: UP006, UP045
    share: bool = True
    reads_stop: List[str] = field(default_factory=list)  # noqa: UP006
    dry_run: bool = False
    prove: int = 0
    fail_fast: bool = False
    retries: int = 0


ConfigStore.instance().store(group="hydra/sweeper", name="keepbest", node=KeepbestSweeperConf, provider="keepbest")


class KeepbestSweeper(BasicSweeper):
    """Hydra's basic sweeper; jobs of keepbest that see the same training share it."""

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None = None, **settings: Any) -> None:
        super().__init__(max_batch_size=max_batch_size, params=params)
        self._settings = settings
        self._task: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what belongs to the application."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._task = task_function

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs, those of another application than keepbest as the basic sweeper does."""
        host: Any = getattr(self._task, "__self__", None)
        if not hasattr(host, "sweep"):
            return super().sweep(arguments)
        return host.sweep(self, arguments, self._settings)
