"""The best checkpoint of a training: which it is, and whether its weights keep their promise."""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.checkpoints.hashing import require_sha256, sha256_of
from keepbest.errors import KeepbestError
from keepbest.training.verification import verify

if TYPE_CHECKING:
    from keepbest.callbacks.history import Check
    from keepbest.training.running_record import RunningRecord
    from keepbest.training.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Best:
    """The best weights of a training: the check they were kept for, and where they are.

    Args:
        check: epoch, step and score.
        path: their checkpoint; None when the early stopping restored them from memory.
    """

    check: Check
    path: Path | None


def find_best(session: Session) -> Best | None:
    """Return the best that the trainer kept for the objective; None without a keeper or a finite check.

    Raises:
        KeepbestError: when what was kept is not the optimum of the checks, by the keeper's `min_delta`.
    """
    keeper = session.keeper
    if keeper is None:
        return _restored_from_memory(session)
    optimum = session.history.best_by(getattr(keeper, "min_delta", 0.0))
    if optimum is None or not math.isfinite(optimum.value):
        return None
    score = None if keeper.best_model_score is None else float(keeper.best_model_score)
    require_kept(optimum, score if keeper.best_model_path else None, session.objective.monitor)
    return Best(optimum, Path(keeper.best_model_path))


def require_kept(optimum: Check, score: float | None, monitor: str) -> None:
    """Refuse a checkpoint that was kept for another score than the best one.

    Raises:
        KeepbestError: when it was.
    """
    if score != optimum.value:
        raise KeepbestError(
            f"the checkpoint callback must keep the best check, {monitor} {optimum.value!r} of epoch "
            f"{optimum.epoch}, it kept {'nothing' if score is None else repr(score)}. Let it look at every check: "
            "save_top_k=1, every_n_epochs=1; under several processes log with sync_dist=True."
        )


def _restored_from_memory(session: Session) -> Best | None:
    stopper = session.trainer.early_stopping_callback
    epoch, score = getattr(stopper, "best_epoch", None), getattr(stopper, "best_model_score", None)
    checks = (check for check in session.history.checks if (check.epoch, check.value) == (epoch, score))
    check = next(checks, None)
    return Best(check, path=None) if check else None


def note_best(best: Best, session: Session, record: RunningRecord, job_dir: Path) -> None:
    """Put the best into the record, its path relative to the run."""
    if not record.writes:
        return
    check = best.check
    record.note(best_model_score=check.value, best_epoch=check.epoch, best_step=check.step)
    if best.path:
        record.note(
            best_model_path=Path(os.path.relpath(best.path, job_dir)).as_posix(),
            best_sha256=_sha256_of(best.path, session, record),
            best_bytes=best.path.stat().st_size,
        )


def _sha256_of(path: Path, session: Session, record: RunningRecord) -> str:
    """Return the hash that was taken while the file was written; a resumed job finds it in the record.

    Raises:
        IntegrityError: when the file of an earlier attempt is no longer what was recorded.
    """
    if session.checkpoint_io and (written := session.checkpoint_io.sha256.get(path)):
        return written
    if recorded := record.value.best_sha256:
        require_sha256(path, recorded)
        return recorded
    return sha256_of(path)  # another CheckpointIO wrote it


def forget_best(record: RunningRecord) -> None:
    """Put into the record that there is no best, whatever an earlier attempt had."""
    record.note(best_model_path=None, best_model_score=None, best_epoch=None, best_step=None)
    record.note(best_sha256=None, best_bytes=None)


def note_best_so_far(session: Session, record: RunningRecord, job_dir: Path) -> None:
    """Put into the record what an interrupted or failed training leaves; it must not hide why the training ended."""
    record.note_epochs(session.trainer.current_epoch or None)
    if session.keeper and session.checkpoint_io:  # each best was recorded when it lay on the disk: the keeper names it
        return  # before it is written
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
    value = session.trainer.callback_metrics.get(monitor)
    if value is None:
        log.warning("the best weights cannot be verified: %s is logged by training, not by validation", monitor)
        return
    device = session.trainer.strategy.root_device
    verified = verify(monitor, best.check.value, float(value), session.verification, device)
    record.note(verified=verified)
    log.info("restored the best weights of epoch %s: %s %.6g again", best.check.epoch, monitor, verified.score)
