"""The best checkpoint of a training: which it is, and whether its weights keep their promise."""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.checkpoints.hashing import sha256_of
from keepbest.checkpoints.loading import load_checkpoint
from keepbest.errors import KeepbestError
from keepbest.training.verification import verify

if TYPE_CHECKING:
    from keepbest.training.running_record import RunningRecord
    from keepbest.training.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Best:
    """The checkpoint that was kept, and its score."""

    path: Path
    score: float


def find_best(session: Session) -> Best | None:
    """Return the checkpoint that the trainer kept for the objective; None without a keeper or a finite check.

    Raises:
        KeepbestError: when what was kept is not the strict optimum of the checks.
    """
    keeper, optimum = session.keeper, session.history.best
    if keeper is None or optimum is None or not math.isfinite(optimum.value):
        return None
    score = None if keeper.best_model_score is None else float(keeper.best_model_score)
    if score != optimum.value or not keeper.best_model_path:
        raise KeepbestError(
            f"the checkpoint callback must keep the best check, {session.objective.monitor} {optimum.value!r} of epoch "
            f"{optimum.epoch}, it kept {'nothing' if score is None else repr(score)}. Let it look at every check: "
            "save_top_k=1, every_n_epochs=1; under several processes log with sync_dist=True."
        )
    return Best(Path(keeper.best_model_path), score)


def note_best(best: Best, session: Session, record: RunningRecord, job_dir: Path) -> None:
    """Put the best checkpoint into the record, its path relative to the run."""
    if not record.writes:
        return
    kept = load_checkpoint(best.path, sha256=None)
    record.note(
        best_model_path=Path(os.path.relpath(best.path, job_dir)).as_posix(),
        best_model_score=best.score,
        best_epoch=kept["epoch"],
        best_step=kept["global_step"],
        best_sha256=session.checkpoint_io.sha256.get(best.path) or sha256_of(best.path),
        best_bytes=best.path.stat().st_size,
    )


def note_best_so_far(session: Session, record: RunningRecord, job_dir: Path) -> None:
    """Put into the record what an interrupted or failed training leaves; it must not hide why the training ended."""
    record.note_epochs(session.trainer.current_epoch or None)
    try:
        best = find_best(session)
        if best:
            note_best(best, session, record, job_dir)
    except (KeepbestError, OSError):
        log.exception("the best checkpoint so far could not be recorded")


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
    record.note(verified=verified)
    log.info("restored the best weights of epoch %s: %s %.6g again", record.value.best_epoch, monitor, measured)
