"""From the factories that a config composes to what Lightning's `configure_optimizers` returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import torch
from lightning import Trainer
from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from keepbest.errors import ConfigError

OptimizerFactory = Callable[[Iterable[Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]
Factory = TypeVar("Factory")


def adam(parameters: Iterable[Parameter]) -> Optimizer:
    """Make the optimizer of a model that is given none."""
    return torch.optim.Adam(parameters, lr=1e-3)


def checked_factory(name: str, factory: Factory) -> Factory:
    """Return the factory, or None; refuse what cannot be called, such as an optimizer that was already made."""
    if factory is not None and not callable(factory):
        raise ConfigError(
            f"{name} must be a function that makes one",
            received=type(factory).__name__,
            remedy="Write _partial_: true beside its _target_",
        )
    return factory


def schedule(
    make: SchedulerFactory, optimizer: Optimizer, trainer: Trainer, interval: str, monitor: str | None
) -> LRSchedulerConfigType:
    """Make the scheduler and say when Lightning steps it.

    A partial with `total_steps=None`, as OneCycleLR needs, gets the number of optimizer steps of the whole training.
    A ReduceLROnPlateau steps after the epochs that validate, since only these have a new value to look at.
    """
    if isinstance(make, partial) and make.keywords.get("total_steps", ...) is None:
        make = partial(make, total_steps=training_steps(trainer))
    scheduler = make(optimizer)
    if not isinstance(scheduler, ReduceLROnPlateau):
        return {"scheduler": scheduler, "interval": interval}
    if monitor is None:
        raise ConfigError(
            "ReduceLROnPlateau needs the name of a metric to watch", remedy="Set model.monitor, for example to val_loss"
        )
    frequency = trainer.check_val_every_n_epoch or 1
    return {"scheduler": scheduler, "interval": interval, "monitor": monitor, "frequency": frequency}


def training_steps(trainer: Trainer) -> int:
    """Return how many optimizer steps the training takes if nothing stops it early."""
    steps = trainer.estimated_stepping_batches
    if steps == float("inf"):
        raise ConfigError(
            "a scheduler of unknown total_steps needs a training of known length",
            received=trainer.max_epochs,
            remedy="Set trainer.max_epochs or model.scheduler.total_steps",
        )
    return int(steps)
