"""SLURM's requeue signal: the job ends here and goes on in another allocation."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.errors import KeepbestError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

log = logging.getLogger(__name__)

_LONGEST_SECONDS = 60.0
"""How long `scontrol` may take."""


def requeue_signal(trainer: Trainer) -> signal.Signals | None:
    """Return the signal by which SLURM announces the end of the allocation; None elsewhere.

    As Lightning has it: `SLURMEnvironment(auto_requeue=False)` among the trainer's plugins turns it off, its
    `requeue_signal` names another one than SIGUSR1, and a handler that the user has set comes first.
    """
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    environment = trainer._accelerator_connector.cluster_environment
    if not isinstance(environment, SLURMEnvironment) or not environment.auto_requeue or not environment.requeue_signal:
        return None
    taken = signal.getsignal(environment.requeue_signal) not in (None, signal.SIG_DFL)
    return None if taken else environment.requeue_signal


def requeue() -> bool:
    """Ask SLURM to start this job again, once it has ended; return whether it will."""
    job = _job()
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("SLURM's job %s could not be requeued, the training goes on: %s", job, error)
        return False
    if done.returncode != 0:
        log.warning("SLURM's job %s could not be requeued, the training goes on: %s", job, done.stderr.strip())
        return False
    log.info("SLURM starts job %s again: it goes on from the last checkpoint", job)
    return True


def _job() -> str:
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]


def require_no_checkpoint_of_lightnings(trainer: Trainer) -> None:
    """Refuse a run directory with the checkpoints that Lightning writes when SLURM's signal comes; keepbest never does.

    Under SLURM Lightning loads them wherever it is given no other checkpoint: it would test their weights, not the
    best ones.

    Raises:
        KeepbestError: when there is one.
    """
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    found = next(Path(trainer.default_root_dir).glob("*hpc_ckpt_*"), None)
    if found and SLURMEnvironment.detect():
        raise KeepbestError(
            f"a run directory under SLURM must not hold a checkpoint that Lightning would load by itself, got {found}. "
            "Move it elsewhere; the run goes on from the checkpoint that its record names."
        )
