"""The best checkpoint of a training: which it is, and whether its weights keep their promise."""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.checkpoints.hashing import sha256_of
from keepbest.training.verification import verify

if TYPE_CHECKING:
    from keepbest.training.running_record import RunningRecord
    from keepbest.training.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Best:
    """The checkpoint that was kept: its file, its score, and the epoch and optimizer step of its check."""

    path: Path
    score: float
    epoch: int | None
    step: int | None


def find_best(session: Session) -> Best | None:
    """Return the checkpoint that the trainer kept for the objective; None when no finite score was ever kept."""
    keeper = session.keeper
    if keeper is None or not keeper.best_model_path or keeper.best_model_score is None:
        return None
    score = float(keeper.best_model_score)
    if not math.isfinite(score):  # Lightning keeps a NaN as an infinity
        return None
    check = next((check for check in session.history.checks if check.value == score), None)
    return Best(Path(keeper.best_model_path), score, check.epoch if check else None, check.step if check else None)


def note_best(best: Best, session: Session, record: RunningRecord, job_dir: Path) -> None:
    """Put the best checkpoint into the record, its path relative to the run."""
    if not record.writes:
        return
    record.note(
        best_model_path=Path(os.path.relpath(best.path, job_dir)).as_posix(),
        best_model_score=best.score,
        best_epoch=best.epoch,
        best_step=best.step,
        best_sha256=session.checkpoint_io.sha256.get(best.path) or sha256_of(best.path),
        best_bytes=best.path.stat().st_size,
    )


def restore_and_verify(best: Best, session: Session, record: RunningRecord) -> None:
    """Load the best weights into the model, evaluate them on the validation data and compare with their score.

    Raises:
        VerificationError: when they do not reproduce it.
    """
    monitor = session.objective.monitor
    session.trainer.validate(
        session.model, datamodule=session.datamodule, ckpt_path=best.path, weights_only=True, verbose=False
    )
    measured = float(session.trainer.callback_metrics[monitor])
    device = session.trainer.strategy.root_device
    verified = verify(monitor, best.score, measured, session.verification, device)
    log.info("restored the best weights of epoch %s: %s %.6g again", best.epoch, monitor, measured)
    record.note(verified=verified)
