"""The checkpoints of a running job and its record: they agree at every instant."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.callbacks.batch_boundaries import ended_early
from keepbest.records.run_record import LastCheckpoint

if TYPE_CHECKING:
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    from keepbest.training.running_record import RunningRecord


class KeptFiles:
    """Writes each checkpoint into the record, between the moment it is whole on the disk and that of its renaming.

    A crash in between leaves a record that names content which `keepbest.checkpoints.recovery` finds.

    Args:
        record: the job's record.
        job_dir: its directory.
    """

    def __init__(self, record: RunningRecord, job_dir: Path) -> None:
        self._record, self._job_dir = record, job_dir
        self._trainer: Trainer | None = None
        self._keeper: ModelCheckpoint | None = None
        self._noted: dict[str, Any] = {}

    def watch(self, trainer: Trainer, keeper: ModelCheckpoint | None) -> None:
        """Take the trainer whose checkpoints come, and the callback that keeps the objective's best."""
        self._trainer, self._keeper = trainer, keeper

    def begin(self, path: Path) -> None:
        """Note what is to be recorded of a checkpoint, now that trainer and keeper are in the state that it holds."""
        trainer, keeper = self._trainer, self._keeper
        self._noted = {}
        if trainer is None or not path.resolve().is_relative_to(self._job_dir.resolve()):
            return
        name = path.resolve().relative_to(self._job_dir.resolve()).as_posix()
        if keeper and str(path) == keeper.best_model_path and keeper.best_model_score is not None:
            self._noted = {
                "best_model_path": name, "best_model_score": float(keeper.best_model_score),
                "best_epoch": trainer.current_epoch, "best_step": trainer.global_step,
            }  # fmt: skip
        elif any(str(path) == getattr(saver, "last_model_path", None) for saver in trainer.checkpoint_callbacks):
            early = ended_early(trainer)
            self._noted = {"last": LastCheckpoint(name, "", 0, trainer.current_epoch, trainer.global_step, early)}

    def __call__(self, path: Path, sha256: str, size: int) -> None:
        """Write a checkpoint that is about to get its name; the training may have gone on since `begin`."""
        if not self._noted:
            return
        before = self._record.value
        if "last" in self._noted:
            self._record.note(last=dataclasses.replace(self._noted["last"], sha256=sha256, bytes=size))
        else:
            self._record.note(**self._noted, best_sha256=sha256, best_bytes=size)
        try:
            self._record.write()
        except BaseException:
            self._record.value = before  # the new checkpoint is discarded: the record of the failure must not name it
            raise

    def recorded(self) -> dict[str, str]:
        """Return the hash of each recorded checkpoint, by its path below the run's directory."""
        value = self._record.value
        best = {value.best_model_path: value.best_sha256} if value.best_model_path and value.best_sha256 else {}
        return best | ({value.last.path: value.last.sha256} if value.last else {})
