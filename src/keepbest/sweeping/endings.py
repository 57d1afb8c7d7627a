"""Where a shared training ends for its members: what a job of its own would have come to by then."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Checkpoint

from keepbest.callbacks.history import Check, best_of
from keepbest.checkpoints.hashing import sha256_of
from keepbest.checkpoints.random_state import random_state
from keepbest.checkpoints.writing import write_checkpoint
from keepbest.sweeping.kept_links import KeptLinks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch import LightningModule, Trainer

    from keepbest.sweeping.member_stopping import MemberStopping, Watch
    from keepbest.training.running_record import RunningRecord
    from keepbest.training.session import Session

WEIGHTS_FILE = "weights.ckpt"

_KEY = "keepbest_endings"


@dataclass(frozen=True)
class Ending:
    """What the training had come to at one check, plain enough for a checkpoint.

    Args:
        checks: how many there had been.
        rows: how many rows its metrics had, that of its last epoch included.
        epochs: how many epochs had been trained.
        best: epoch, step and value of the best check by then; None where none was finite.
        files: what the keeper had kept by then, as paths below the training's directory; their content is in
            `KeptLinks`, under the number of checks.
        best_file: which of them holds the best.
        kept_score: the score that the keeper kept it for.
        sha256: of that file.
        seconds: how long the training had taken.
        random_state: of the random number generators.
    """

    checks: int
    rows: int
    epochs: int
    best: tuple[int, int, float] | None
    files: list[str]
    best_file: str | None
    kept_score: float | None
    sha256: str | None
    seconds: float
    random_state: dict[str, Any]


class Endings(Checkpoint):
    """Notes where the training ends for each member, and keeps the checkpoint that was its best by then.

    Lightning runs it after the other checkpoint callbacks, so that the best of the latest check is on the disk. The
    keeper goes on to replace its file; a hard link keeps the content for the members that have stopped.

    Args:
        stopping: the members' policies.
        record: the training's record.
        directory: the training's directory.

    Attributes:
        links: the checkpoints of members that have stopped.
    """

    def __init__(self, stopping: MemberStopping, record: RunningRecord, directory: Path) -> None:
        self.links = KeptLinks(directory)
        self._endings: dict[int, Ending] = {}
        self._plain: dict[int, dict[str, Any]] = {}  # the same, as they go into checkpoints
        self._stopping, self._record, self._directory = stopping, record, directory
        self._session: Session | None = None
        self._resumed_with: dict[str, Any] | None = None

    def watch(self, session: Session) -> None:
        """Take the session, which exists once the trainer does."""
        self._session = session

    def of(self, watch: Watch) -> Ending:
        """Return the ending that holds for a member; every member has one once `conclude_all` was called."""
        assert watch.concluded is not None
        return self._endings[watch.concluded]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Conclude for those that had stopped at the check of the checkpoint that is resumed: it was written before."""
        if self._resumed_with is not None:
            self._conclude(trainer, self._stopped(), trainer.current_epoch)
        self._resumed_with = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Conclude for those that have stopped in this epoch."""
        self._conclude(trainer, self._stopped(), trainer.current_epoch + 1)

    def conclude_all(self, trainer: Trainer) -> None:
        """Conclude for the members that nothing but the end of the training has ended."""
        self._conclude(trainer, self._open(), trainer.current_epoch)

    def _open(self) -> list[Watch]:
        return [watch for watch in self._stopping.watches if watch.concluded is None]

    def _stopped(self) -> list[Watch]:
        return [watch for watch in self._open() if watch.stopped]

    def _conclude(self, trainer: Trainer, watches: Sequence[Watch], epochs: int) -> None:
        if not watches:
            return
        ending = self._ending(trainer, epochs)
        self._endings[ending.checks] = ending
        self._plain.pop(ending.checks, None)
        for watch in watches:
            watch.concluded = ending.checks

    def _ending(self, trainer: Trainer, epochs: int) -> Ending:
        session = self._session
        assert session is not None, "watch() comes before the training"
        keeper, history = session.keeper, session.history
        checks, rows = history.as_of_now(trainer)
        best = best_of(checks, history.objective.mode, getattr(keeper, "min_delta", 0.0))
        best = best if best and math.isfinite(best.value) else None
        files = [self._relative(path) for path in _files_of(keeper)]
        best_file = self._relative(keeper.best_model_path) if keeper and keeper.best_model_path else None
        kept_score = keeper.best_model_score if keeper else None
        if trainer.is_global_zero:
            self._keep(len(checks), files, session, has_best=best is not None)
        return Ending(
            checks=len(checks),
            rows=len(rows),
            epochs=epochs,
            best=None if best is None else (best.epoch, best.step, float(best.value)),
            files=files,
            best_file=best_file,
            kept_score=None if kept_score is None else float(kept_score),
            sha256=self._sha256(len(checks), best_file, session) if trainer.is_global_zero else None,
            seconds=self._record.seconds,
            random_state=self._resumed_with or random_state(),
        )

    def _keep(self, number: int, files: list[str], session: Session, *, has_best: bool) -> None:
        resumed = self._resumed_with is not None
        if resumed and self.links.has(number):  # by now the keeper's file may hold a later best
            return
        self.links.keep(number, files)
        if not has_best:  # a job of its own is tested with the weights that it ends with
            write_checkpoint(session.model.state_dict(), self.links.place(number, WEIGHTS_FILE))

    def _sha256(self, number: int, best_file: str | None, session: Session) -> str | None:
        if best_file is None:
            return None
        if self._resumed_with is None and session.checkpoint_io:
            written = session.checkpoint_io.sha256.get(self._directory / best_file)
            if written:
                return written
        return sha256_of(self.links.place(number, best_file))

    def _relative(self, path: str) -> str:
        return Path(path).relative_to(self._directory).as_posix()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the endings so far into the checkpoint, and the random state for those that come right after it."""
        for number, ending in self._endings.items():
            self._plain.setdefault(number, dataclasses.asdict(ending))
        checkpoint[_KEY] = {"endings": dict(self._plain), "random_state": random_state()}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with the endings so far, where a fit does; weights are also loaded to be evaluated."""
        if trainer.state.fn != "fit":
            return
        self._endings = {number: Ending(**ending) for number, ending in checkpoint[_KEY]["endings"].items()}
        self._resumed_with = checkpoint[_KEY]["random_state"]


def _files_of(keeper: Any) -> list[str]:
    """Return the paths of what a keeper keeps as its best."""
    return [] if keeper is None else list(dict.fromkeys(filter(None, [keeper.best_model_path, *keeper.best_k_models])))


def check_of(ending: Ending) -> Check | None:
    """Return the best check of an ending."""
    return None if ending.best is None else Check(*ending.best)
