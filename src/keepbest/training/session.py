"""The objects of one job, made from its config."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.callbacks.announcer import Announcer
from keepbest.callbacks.epoch_in_progress import EpochInProgress
from keepbest.callbacks.history import History
from keepbest.callbacks.learning_parameters import LearningParameters
from keepbest.callbacks.plateau_steps import PlateauSteps
from keepbest.callbacks.random_states import RandomStates
from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.composition.build import (
    build_callbacks,
    build_datamodule,
    build_loggers,
    build_model,
    build_trainer,
)
from keepbest.composition.checks import policy_of
from keepbest.composition.schema import Guards, guards_of, objective_of, verification_of
from keepbest.guards.batches import ValidationGuard
from keepbest.guards.monitor import MonitorGuard
from keepbest.guards.overlap import OverlapGuard
from keepbest.guards.patience import PatienceGuard
from keepbest.records.metrics_table import METRICS_FILE
from keepbest.training.checkpoint_places import require_inside
from keepbest.training.searches import without_searches

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    from keepbest.composition.resolved import PlainConfig
    from keepbest.composition.schema import Verification
    from keepbest.records.run_record import Objective
    from keepbest.stopping.policy import StoppingPolicy
    from keepbest.training.kept_files import KeptFiles


@dataclass(frozen=True)
class Session:
    """One job's model, data and trainer, and what watches them."""

    objective: Objective
    policy: StoppingPolicy | None
    verification: Verification
    model: LightningModule
    datamodule: LightningDataModule
    trainer: Trainer
    history: History
    checkpoint_io: DurableCheckpointIO | None

    @property
    def keeper(self) -> ModelCheckpoint | None:
        """The checkpoint callback that keeps the objective's best; None when there is none."""
        from lightning.pytorch.callbacks import ModelCheckpoint

        wanted = (self.objective.monitor, self.objective.mode)
        keepers = [callback for callback in self.trainer.checkpoint_callbacks if isinstance(callback, ModelCheckpoint)]
        return next((keeper for keeper in keepers if (keeper.monitor, keeper.mode) == wanted), None)


def prepare(
    config: PlainConfig,
    job_dir: Path,
    kept_files: KeptFiles,
    *,
    writes: bool,
    resumes: bool = False,
    also: Iterable[Callback] = (),
) -> Session:
    """Seed the random number generators and make the objects of a job.

    Args:
        config: resolved and checked.
        job_dir: where the run's files go.
        kept_files: what every checkpoint is recorded with.
        writes: whether this process writes them; False on every rank but the first.
        resumes: whether the training goes on from a checkpoint.
        also: callbacks beside those of the config; they come after them.
    """
    from lightning.pytorch import seed_everything

    if config.get("seed") is not None:
        seed_everything(config["seed"], workers=True, verbose=False)
    objective = objective_of(config)
    history = History(job_dir / METRICS_FILE if writes else None, objective)
    watching: list[Callback] = [EpochInProgress(), history, Announcer(history)]
    watching += [RandomStates(), PlateauSteps(), LearningParameters()]
    watching += build_guards(objective, guards_of(config))
    datamodule, model = build_datamodule(config["data"]), build_model(config["model"])
    callbacks = build_callbacks(config.get("callbacks"), job_dir)
    trainer = build_trainer(
        _with_bar_for_people(config["trainer"]),
        [*watching, *(without_searches(callbacks) if resumes else callbacks), *also],
        build_loggers(config.get("logger"), job_dir),
        DurableCheckpointIO(),
        job_dir,
    )
    checkpoint_io = trainer.strategy.checkpoint_io  # a CheckpointIO of the trainer's config comes before ours
    if isinstance(checkpoint_io, DurableCheckpointIO):
        checkpoint_io.before_save, checkpoint_io.before_replace = kept_files.begin, kept_files
    session = Session(
        objective,
        policy_of(config),
        verification_of(config),
        model,
        datamodule,
        trainer,
        history,
        checkpoint_io if isinstance(checkpoint_io, DurableCheckpointIO) else None,
    )
    if session.keeper:
        require_inside(session.keeper, job_dir)
    kept_files.watch(trainer, session.keeper)
    return session


def build_guards(objective: Objective, wanted: Guards) -> list[Callback]:
    """Make what looks at the training before an epoch is wasted."""
    guards: list[Callback] = [MonitorGuard(objective.monitor, training=wanted.training_monitor), ValidationGuard()]
    if wanted.overlap:
        guards.append(OverlapGuard())
    if wanted.patience:
        guards.append(PatienceGuard())
    return guards


def _with_bar_for_people(trainer: dict[str, Any]) -> dict[str, Any]:
    """Show a progress bar on a terminal and none in a pipe, unless the config says which."""
    wanted = trainer.get("enable_progress_bar")
    return {**trainer, "enable_progress_bar": sys.stdout.isatty() if wanted is None else wanted}
