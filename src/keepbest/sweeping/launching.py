"""Trainings handed to one of Hydra's launchers."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from keepbest.errors import ConfigError, KeepbestError, printable
from keepbest.records.ownership import as_it_stands
from keepbest.records.run_record import RunStatus
from keepbest.records.store import read_record
from keepbest.sweeping.device_lease import devices_needed, require_enough, visible_devices
from keepbest.sweeping.group_task import GroupTask, this_process
from keepbest.sweeping.ray_cluster import start_ray
from keepbest.sweeping.stop_order import StopOrder
from keepbest.sweeping.training_watch import Listener, TrainingWatch

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.plugins.launcher import Launcher
    from hydra.types import HydraContext

    from keepbest.sweeping.plan import Training
    from keepbest.sweeping.settings import SweepSettings

_SHARING = ("JoblibLauncher", "LocalLauncher")
"""Launchers of several processes on this machine that know nothing of its accelerators."""
_RAY = "RayLauncher"
_LONGEST_ERROR = 300  # characters
_PATIENCE_SECONDS, _LOOKS_EVERY = 15.0, 0.5


class LauncherError(KeepbestError):
    """A launcher has ended before its trainings.

    Args:
        error: what it raised.
    """

    def __init__(self, error: Exception) -> None:
        text = printable(" ".join(str(error).split()))
        text = text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}..."
        super().__init__(
            f"the launcher has ended with {type(error).__name__}: {text.rstrip('.')}. "
            "Trainings that were still running were told to end."
        )


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
        """Run trainings until each has its end, or until the sweep's stop order is given.

        What became of them is in their records.

        Raises:
            ConfigError: for trainings that the launcher cannot place.
            Interrupted: when a signal ended them.
            LauncherError: for what went wrong in the launcher, beside the trainings.
        """
        order = StopOrder(self._directory)
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self._context, task_function=self._task(trainings), config=self._config
        )
        if self._launcher_name == _RAY:
            start_ray(self._config.hydra.launcher.ray)
        with (
            TrainingWatch(trainings, listener).going_on(),
            order.given_by_signals(lambda: _any_runs(trainings)),
            _ended_with_launcher(trainings, order),
        ):
            for result in self._returns(launcher, trainings, order):
                _ = result.return_value  # raises what went wrong in the launcher's process

    def _returns(self, launcher: Launcher, trainings: Sequence[Training], order: StopOrder) -> Iterator[JobReturn]:
        """Launch `max_batch_size` trainings at a time."""
        overrides = [list(training.jobs[0].overrides) for training in trainings]
        size = self._settings.max_batch_size or len(trainings)
        for start in range(0, len(trainings), size):
            if not order.is_given:
                yield from launcher.launch(overrides[start : start + size], initial_job_idx=start)

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


@contextmanager
def _ended_with_launcher(trainings: Sequence[Training], order: StopOrder) -> Iterator[None]:
    """Let no training outlive a launcher that fails: nobody would tell what becomes of it."""
    try:
        yield
    except KeepbestError:
        raise
    except Exception as error:
        order.give(signal.SIGTERM)
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until and _any_runs(trainings):
            time.sleep(_LOOKS_EVERY)
        raise LauncherError(error) from error


def _any_runs(trainings: Sequence[Training]) -> bool:
    return any(_runs(training.directory) for training in trainings)


def _runs(directory: Path) -> bool:
    try:
        return as_it_stands(directory, read_record(directory)).status is RunStatus.RUNNING
    except (OSError, KeepbestError):
        return False
