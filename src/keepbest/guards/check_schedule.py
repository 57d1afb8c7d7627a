"""When the checks of a training come, counted ahead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingLength:
    """How long a training lasts: whole epochs, the batches of one more that is cut short, and what sets the end."""

    epochs: int
    batches: int = 0
    set_by: str = ""


@dataclass(frozen=True)
class CheckSchedule:
    """When checks come, as a pure value.

    Args:
        batches_per_epoch: training batches of an epoch.
        every_batches: batches from one check to the next. They are counted anew in each epoch, unless `every_epochs`
            is None.
        every_epochs: epochs from one with checks to the next; None when batches are counted across epochs.
        at_epoch_end: whether checks come at the end of every epoch instead, even of one that is cut short.
    """

    batches_per_epoch: int
    every_batches: int
    every_epochs: int | None = 1
    at_epoch_end: bool = False

    def count(self, length: TrainingLength) -> int:
        """Return the number of checks in a training of some length."""
        if self.at_epoch_end:
            return length.epochs + bool(length.batches)
        if self.every_epochs is None:
            return (length.epochs * self.batches_per_epoch + length.batches) // self.every_batches
        checks = length.epochs // self.every_epochs * self.checks_per_checked_epoch
        if (length.epochs + 1) % self.every_epochs == 0:
            checks += length.batches // self.every_batches
        return checks

    @property
    def checks_per_checked_epoch(self) -> int:
        """The number of checks in an epoch that has any, where batches are counted within epochs."""
        return 1 if self.at_epoch_end else self.batches_per_epoch // self.every_batches

    def epochs(self, checks: float) -> float | None:
        """Return the epochs that some checks span on average, None if none ever comes."""
        if self.at_epoch_end:
            return checks
        if self.every_epochs is None:
            return checks * self.every_batches / self.batches_per_epoch
        per_epoch = self.checks_per_checked_epoch
        return checks * self.every_epochs / per_epoch if per_epoch else None

    def __str__(self) -> str:
        """Say how often validation comes, and which settings say so."""
        if self.every_epochs is None:
            batches = f"{self.every_batches} batches" if self.every_batches > 1 else "batch"
            return f"every {batches} (trainer.val_check_interval)"
        epochs = f"every {self.every_epochs} epochs" if self.every_epochs > 1 else "per epoch"
        settings = ["trainer.val_check_interval"] if self.checks_per_checked_epoch > 1 else []
        settings += ["trainer.check_val_every_n_epoch"] if self.every_epochs > 1 else []
        times = f"{self.checks_per_checked_epoch} times " if self.checks_per_checked_epoch > 1 else ""
        return f"{times}{epochs} ({', '.join(settings)})"


def counted(count: float, one: str, several: str) -> str:
    """Return a number with its noun: `1 check`, `0.75 epochs`."""
    return f"{round(count, 2):.10g} {one if count == 1 else several}"
