"""What a launcher runs for each training of a sweep, in whatever process it has for it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from keepbest.composition.resolved import read_config
from keepbest.records.run_record import RunStatus
from keepbest.records.store import read_record
from keepbest.sweeping.training_process import run_training

STOPPED_FILE = ".failed"
"""In the sweep's directory, once a training has failed and the others are not to be started."""


@dataclass(frozen=True)
class GroupTask:
    """A task function for Hydra's launchers: it takes the launcher's job number and trains what belongs to it.

    The config that the launcher composed is not looked at; that of the training lies in its directory. It travels to
    other processes and machines by pickle.

    Args:
        directories: of the trainings, by the number that the launcher gives to each.
        jobs: whose they are, in words, by the same number.
        cwd: where the sweep was started; the user's own modules lie there.
        retries: how often a training that failed is tried again.
        sweep_dir: the sweep's directory.
        fail_fast: whether nothing more is started once one has failed.
    """

    directories: Mapping[int, str]
    jobs: Mapping[int, str]
    cwd: str
    retries: int
    sweep_dir: str
    fail_fast: bool

    def __call__(self, config: Any) -> str:
        """Train, and return the status in the training's record."""
        number = int(HydraConfig.get().job.num)
        directory, stopped = Path(self.directories[number]), Path(self.sweep_dir, STOPPED_FILE)
        os.chdir(self.cwd)
        if self.cwd not in sys.path:
            sys.path.insert(0, self.cwd)
        if self.fail_fast and stopped.exists():
            return read_record(directory).status.value
        began = time.monotonic()
        status = self._train(directory)
        where = f"training {number + 1} of {len(self.directories)}"
        sys.stdout.write(f"{where}, {self.jobs[number]}: {status.value} in {time.monotonic() - began:.1f} s\n")
        sys.stdout.flush()
        if self.fail_fast and status is not RunStatus.COMPLETED:
            stopped.touch()
        return status.value

    def _train(self, directory: Path) -> RunStatus:
        trainer = read_config(directory)["trainer"]
        for _ in range(self.retries + 1):
            status = run_training(directory, trainer)
            if status is not RunStatus.FAILED:
                break
        return status
