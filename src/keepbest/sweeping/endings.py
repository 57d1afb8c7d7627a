"""Where a shared training ends for its members: what a job of its own would have come to by then."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Checkpoint

from keepbest.callbacks.batch_boundaries import (
    BoundaryCallback,
    boundary_loop,
    is_at_boundary,
    resumes_within_epoch,
)
from keepbest.callbacks.history import Check, best_of
from keepbest.checkpoints.hashing import sha256_of
from keepbest.checkpoints.random_state import random_state
from keepbest.checkpoints.writing import write_checkpoint
from keepbest.sweeping.kept_links import KeptLinks, link_or_copy
from keepbest.sweeping.module_memory import Moments, memory_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch import LightningModule, Trainer

    from keepbest.sweeping.member_stopping import MemberStopping, Watch
    from keepbest.training.running_record import RunningRecord
    from keepbest.training.session import Session

WEIGHTS_FILE = "weights.ckpt"
STATE_FILE = "state.ckpt"
ENDINGS = "keepbest_endings"
"""The key of a checkpoint under which there is, beside the endings, what a member's own end needs to know."""

_Writes = Callable[[Path], None]


@dataclass(frozen=True)
class Ending:
    """What the training had come to at one check, plain enough for a checkpoint.

    Args:
        name: one per moment of the training.
        within: whether it is the moment between two batches at which a stop cuts the epoch short. What follows for the
            member, the end of its epoch, is not part of the shared training: see `OwnEnd`.
        checks: how many there had been.
        rows: how many rows its metrics had, that of its last epoch included.
        epochs: how many epochs had been trained, that of a stop within it among them.
        step: how many optimizer steps had been taken.
        best: epoch, step and value of the best check by then; None where none was finite.
        files: what the keeper had kept by then, as paths below the training's directory; their content is in
            `KeptLinks`, under the name.
        best_file: which of them holds the best.
        kept_score: the score that the keeper kept it for.
        sha256: of that file.
        seconds: how long the training had taken.
        random_state: of the random number generators.
        memory: what the module remembered, see `memory_of`.
    """

    name: str
    within: bool
    checks: int
    rows: int
    epochs: int
    step: int
    best: tuple[int, int, float] | None
    files: list[str]
    best_file: str | None
    kept_score: float | None
    sha256: str | None
    seconds: float
    random_state: dict[str, Any]
    memory: dict[str, str]


class Endings(Checkpoint, BoundaryCallback):
    """Notes where the training ends for each member, and keeps the checkpoint that was its best by then.

    Lightning runs it after the other checkpoint callbacks, so that the best of the latest check is on the disk. The
    keeper goes on to replace its file; a hard link keeps the content for the members that have stopped.

    Args:
        stopping: the members' policies.
        record: the training's record.
        directory: the training's directory.

    Attributes:
        links: the checkpoints of members that have stopped.
        moments: what the module remembered when they stopped.
        before_end: its memory before the hooks of the fit's end.
    """

    def __init__(self, stopping: MemberStopping, record: RunningRecord, directory: Path) -> None:
        self.links = KeptLinks(directory)
        self.moments = Moments()
        self.before_end: dict[str, str] = {}
        self._endings: dict[str, Ending] = {}
        self._plain: dict[str, dict[str, Any]] = {}  # the same, as they go into checkpoints
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

    def named(self, name: str) -> Ending:
        """Return the ending of a name."""
        return self._endings[name]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Conclude for those that had stopped at the check of the checkpoint that is resumed: it was written before."""
        if self._resumed_with is None and trainer.is_global_zero:
            self.links.drop()  # of an attempt that left no checkpoint to go on from
        if self._resumed_with is None or resumes_within_epoch(trainer):
            return
        self._conclude_stopped(trainer, trainer.current_epoch)
        self._resumed_with = None

    def on_batch_boundary(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the training's state for those that have stopped within an epoch that goes on for others."""
        if self._stopping.has_news and not boundary_loop(trainer).done:
            self._conclude_stopped(trainer, trainer.current_epoch + 1, trainer.save_checkpoint)

    def on_epoch_resumed(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the checkpoint that is resumed for those that had stopped when it was made, as the state of then."""
        resumed = Path(str(trainer.ckpt_path))
        self._conclude_stopped(trainer, trainer.current_epoch + 1, lambda target: link_or_copy(resumed, target))
        self._resumed_with = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Conclude for those that have stopped in this epoch."""
        self._conclude_stopped(trainer, trainer.current_epoch + 1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what the module remembers; its own hook comes next."""
        self.before_end = memory_of(pl_module)

    def _conclude_stopped(self, trainer: Trainer, epochs: int, save: _Writes | None = None) -> None:
        if self._stopping.has_news:
            self._conclude(trainer, self._stopping.newly_stopped(), epochs, save)
        self._stopping.has_news = False

    def conclude_all(self, trainer: Trainer) -> None:
        """Conclude for the members that nothing but the end of the training has ended."""
        self._conclude(trainer, self._open(), trainer.current_epoch)

    def _open(self) -> list[Watch]:
        return [watch for watch in self._stopping.watches if watch.concluded is None]

    def _conclude(self, trainer: Trainer, watches: Sequence[Watch], epochs: int, save: _Writes | None = None) -> None:
        if not watches:
            return
        ending = self._ending(trainer, epochs, save)
        self._endings[ending.name] = ending
        self._plain.pop(ending.name, None)
        for watch in watches:
            watch.concluded = ending.name

    def _ending(self, trainer: Trainer, epochs: int, save: _Writes | None) -> Ending:
        session = self._session
        assert session is not None, "watch() comes before the training"
        keeper, history = session.keeper, session.history
        checks, rows = history.as_of_now(trainer)
        best = best_of(checks, history.objective.mode, getattr(keeper, "min_delta", 0.0))
        best = best if best and math.isfinite(best.value) else None
        files = [self.relative(path) for path in files_of(keeper)]
        best_file = self.relative(keeper.best_model_path) if keeper and keeper.best_model_path else None
        kept_score = keeper.best_model_score if keeper else None
        name = f"batch-{boundary_loop(trainer).total_batch_idx + 1}" if save else f"epoch-{epochs}"
        known = self.links.has(name)
        if trainer.is_global_zero:
            self.links.keep(name, files, self._also(session, save, has_best=best is not None))
        return Ending(
            name=name,
            within=save is not None,
            checks=len(checks),
            rows=len(rows),
            epochs=epochs,
            step=trainer.global_step,
            best=None if best is None else (best.epoch, best.step, float(best.value)),
            files=files,
            best_file=best_file,
            kept_score=None if kept_score is None else float(kept_score),
            sha256=self._sha256(name, best_file, session, known=known) if trainer.is_global_zero else None,
            seconds=self._record.seconds,
            random_state=self._resumed_with or random_state(),
            memory=self.moments.keep(session.model),
        )

    @staticmethod
    def _also(session: Session, save: _Writes | None, *, has_best: bool) -> _Writes | None:
        """Return what writes what is kept beside the keeper's files."""
        if save:
            return lambda directory: save(directory / STATE_FILE)
        if has_best:
            return None
        # a job of its own is tested with the weights that it ends with
        return lambda directory: _write_weights(session.model, directory / WEIGHTS_FILE)

    def _sha256(self, name: str, best_file: str | None, session: Session, *, known: bool) -> str | None:
        if best_file is None:
            return None
        if not known and self._resumed_with is None and session.checkpoint_io:
            written = session.checkpoint_io.sha256.get(self._directory / best_file)
            if written:
                return written
        return sha256_of(self.links.place(name, best_file))

    def relative(self, path: str) -> str:
        """Return a path relative to the training's directory."""
        return Path(path).relative_to(self._directory).as_posix()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the endings so far into the checkpoint, and the random state for those that come right after it."""
        for name, ending in self._endings.items():
            self._plain.setdefault(name, dataclasses.asdict(ending))
        checkpoint[ENDINGS] = {
            "endings": dict(self._plain),
            "random_state": random_state(),
            "directory": str(self._directory),
            "memory": memory_of(pl_module) if is_at_boundary(trainer) else None,
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with the endings so far, where a fit does; weights are also loaded to be evaluated."""
        if trainer.state.fn != "fit":
            return
        self._endings = {name: Ending(**ending) for name, ending in checkpoint[ENDINGS]["endings"].items()}
        self._resumed_with = checkpoint[ENDINGS]["random_state"]


def _write_weights(model: LightningModule, target: Path) -> None:
    write_checkpoint(model.state_dict(), target)


def files_of(keeper: Any) -> list[str]:
    """Return the paths of what a keeper keeps as its best."""
    return [] if keeper is None else list(dict.fromkeys(filter(None, [keeper.best_model_path, *keeper.best_k_models])))


def check_of(ending: Ending) -> Check | None:
    """Return the best check of an ending."""
    return None if ending.best is None else Check(*ending.best)
