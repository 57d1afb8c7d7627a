"""What a launcher runs for each training of a sweep, in whatever process it has for it."""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from keepbest.composition.resolved import read_config
from keepbest.errors import KeepbestError
from keepbest.records.run_record import RunStatus
from keepbest.records.store import read_record
from keepbest.sweeping.device_lease import leased
from keepbest.sweeping.stop_order import StopOrder
from keepbest.sweeping.training_process import run_training
from keepbest.training.interruption import Interrupted
from keepbest.training.job_log import LOG_FILE
from keepbest.training.reporting import explain_failure


def this_process() -> str:
    """Return what no other process is called, on any machine."""
    return f"{os.getpid()} on {socket.gethostname()}"


@dataclass(frozen=True)
class GroupTask:
    """A task function for Hydra's launchers: it takes the launcher's job number and trains what belongs to it.

    The config that the launcher composed is not looked at; that of the training lies in its directory. It travels to
    other processes and machines by pickle.

    Args:
        directories: of the trainings, by the number that the launcher gives to each.
        home: the process that started the sweep, see `this_process`.
        cwd: where the sweep was started; the user's own modules lie there.
        retries: how often a training that failed is tried again.
        sweep_dir: the sweep's directory.
        fail_fast: whether nothing more is started once one has failed.
        devices: the accelerators that the sweep's trainings share out among themselves; None where that is not to be
            done, because there are none or the launcher does it.
    """

    directories: Mapping[int, str]
    home: str
    cwd: str
    retries: int
    sweep_dir: str
    fail_fast: bool
    devices: Sequence[str] | None = None

    def __call__(self, config: Any) -> str:
        """Train, and return the status in the training's record."""
        directory, order = Path(self.directories[int(HydraConfig.get().job.num)]), StopOrder(Path(self.sweep_dir))
        os.chdir(self.cwd)
        if self.cwd not in sys.path:
            sys.path.insert(0, self.cwd)
        try:
            if not order.is_given:
                self._train(directory, order)
        except Interrupted:
            if self.home == this_process():
                raise
        except KeepbestError as error:
            explain_failure(error)
        status = read_record(directory).status
        if self.fail_fast and status is not RunStatus.COMPLETED:
            order.give()
        return status.value

    def _train(self, directory: Path, order: StopOrder) -> None:
        trainer = read_config(directory)["trainer"]
        note = functools.partial(_note, directory / LOG_FILE)
        for _ in range(self.retries + 1):
            with leased(trainer, self.devices, lambda: order.is_given, note) as has_devices:
                if not has_devices:
                    break
                status = run_training(directory, trainer, order)
            if status is not RunStatus.FAILED or order.is_given:
                break


def _note(log: Path, text: str) -> None:
    """Add a line to the log of a training that has not begun."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} INFO    keepbest: {text}\n")
