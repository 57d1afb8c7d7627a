"""Trainings handed to one of Hydra's launchers."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from keepbest.errors import ConfigError
from keepbest.sweeping.device_lease import devices_needed, require_enough, visible_devices
from keepbest.sweeping.group_task import GroupTask, this_process
from keepbest.sweeping.stop_order import StopOrder
from keepbest.sweeping.training_watch import Listener, TrainingWatch
from keepbest.training.interruption import STATUS_OF, in_main_thread

if TYPE_CHECKING:
    from hydra.types import HydraContext

    from keepbest.sweeping.plan import Training
    from keepbest.sweeping.settings import SweepSettings

_SHARING = ("JoblibLauncher", "LocalLauncher")
"""Launchers of several processes on this machine that know nothing of its accelerators."""
_RAY = "RayLauncher"


class Launching:
    """Runs trainings by the launcher that `hydra/launcher` has chosen.

    Args:
        context: Hydra's.
        config: the sweep's, as Hydra hands it to sweepers.
        directory: the sweep's, absolute.
        settings: of the sweeper.
    """

    def __init__(self, context: HydraContext, config: DictConfig, directory: Path, settings: SweepSettings) -> None:
        self._context, self._directory, self._settings = context, directory, settings
        self._config = _with_directory(config, directory)

    def run(self, trainings: Sequence[Training], listener: Listener) -> None:
        """Run trainings until each has its end. What became of them is in their records.

        Raises:
            ConfigError: for trainings that the launcher cannot place.
            Interrupted: when a signal ended them.
            Exception: what went wrong in the launcher, beside the trainings.
        """
        order = StopOrder(self._directory)
        order.withdraw()  # what an earlier command left
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self._context, task_function=self._task(trainings), config=self._config
        )
        if self._launcher_name == _RAY:
            _start_ray(self._config.hydra.launcher.ray.init)
        overrides = [list(training.jobs[0].overrides) for training in trainings]
        with TrainingWatch(trainings, listener).going_on(), order.given_by_signals():
            returns = launcher.launch(overrides, initial_job_idx=0)
        for result in returns:
            _ = result.return_value  # raises what went wrong in the launcher's process

    @property
    def _launcher_name(self) -> str:
        return str(self._config.hydra.launcher.get("_target_")).rpartition(".")[2]

    def _task(self, trainings: Sequence[Training]) -> GroupTask:
        return GroupTask(
            directories={number: str(training.directory) for number, training in enumerate(trainings)},
            home=this_process(),
            cwd=str(Path.cwd()),
            retries=self._settings.retries,
            sweep_dir=str(self._directory),
            fail_fast=self._settings.fail_fast,
            devices=self._devices([training.jobs[0].config["trainer"] for training in trainings]),
        )

    def _devices(self, trainers: Sequence[Mapping[str, Any]]) -> list[str] | None:
        """Return the accelerators that the trainings are to share out among themselves."""
        in_need = [trainer for trainer in trainers if devices_needed(trainer)]
        if self._launcher_name == _RAY:
            self._require_gpus_of_ray(in_need)
        if self._launcher_name not in _SHARING or not in_need:
            return None
        devices = visible_devices()
        if devices:
            for trainer in in_need:
                require_enough(trainer, devices)
        return devices

    def _require_gpus_of_ray(self, trainers: Sequence[Mapping[str, Any]]) -> None:
        on_gpus = [trainer for trainer in trainers if trainer.get("accelerator") in ("gpu", "cuda")]
        if on_gpus and OmegaConf.select(self._config, "hydra.launcher.ray.remote.num_gpus") is None:
            raise ConfigError(
                "Ray shows a training only the GPUs that were asked for, and none were",
                received=f"trainer.accelerator={on_gpus[0]['accelerator']}",
                remedy="Add +hydra.launcher.ray.remote.num_gpus=1, or a fraction of one",
            )


def _with_directory(config: DictConfig, directory: Path) -> DictConfig:
    """Return the sweep's config with its directory written out: another process would resolve it to another one."""
    config = config.copy()
    with read_write(config), open_dict(config):
        config.hydra.sweep.dir = str(directory)
    return config


def _start_ray(settings: DictConfig) -> None:
    """Start or join a Ray cluster. The launcher would do so, but not join one that exists, and Ray takes SIGTERM."""
    import ray

    handlers = {number: signal.getsignal(number) for number in STATUS_OF}
    if not ray.is_initialized():
        ray.init(**cast("dict[str, Any]", OmegaConf.to_container(settings, resolve=True)))
    if in_main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)
