"""One job directory, from config to record: fit, restore the best weights, verify them, test, record."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from keepbest.composition.checks import check
from keepbest.errors import KeepbestError, MonitorError
from keepbest.records.ownership import owned
from keepbest.records.run_record import RunRecord
from keepbest.training.early_end import interruptions_recorded
from keepbest.training.interruption import Interruption, as_interruption, ended_by_signals, signals_held
from keepbest.training.job import read_job_config
from keepbest.training.job_log import job_log
from keepbest.training.running_record import FINISHED, RunningRecord

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from keepbest.composition.resolved import PlainConfig
    from keepbest.training.session import Session

log = logging.getLogger(__name__)


class Procedure(Protocol):
    """What a job does with its session. There is one for a job of its own, and one for a training that jobs share."""

    def callbacks(self, config: PlainConfig, record: RunningRecord) -> Sequence[Callback]:
        """Return callbacks beside those of the config."""

    def run(self, session: Session, record: RunningRecord, resume_from: Path | None) -> None:
        """Train, from a checkpoint or from the beginning, and finish the record."""


def execute(job_dir: Path, procedure: Procedure | None = None) -> RunRecord:
    """Run the job of a directory that holds `config.yaml` and `run.json`, and leave a finished record.

    A job that was interrupted, or failed, goes on from its last checkpoint; without one it starts over. Needs no Hydra
    app around it. Under DDP every rank calls this, and the first one writes.

    Args:
        job_dir: the directory.
        procedure: what to do there; None for a job of its own.

    Returns:
        The record as written, `completed` or `diverged`.

    Raises:
        OwnedError: when another process trains in the directory.
        RecordError: when the job has a result already; its record stays as it is.
        Exception: whatever ended the job early, once the record says `failed` or `interrupted`.
    """
    job_dir = job_dir.resolve()  # Lightning resolves the places of checkpoints, and the record must relate them to this
    with ended_by_signals() as interruption, interruptions_recorded(job_dir):
        writes = _is_first_rank()
        with owned(job_dir) if writes else nullcontext():
            record = RunningRecord(job_dir, writes=writes)
            record.require_unfinished()
            with job_log(job_dir, speaks=writes):
                _execute(job_dir, record, interruption, procedure or OwnJob(job_dir))
    return record.value


def _execute(job_dir: Path, record: RunningRecord, interruption: Interruption, procedure: Procedure) -> None:
    """Run the job, and write how it ended."""
    try:
        record.start()
        _run(job_dir, record, interruption, procedure)
    except BaseException as error:
        interruption.end()
        if record.value.status in FINISHED:  # a signal that came once the result was written
            raise
        ending = as_interruption(error) or _named(error)
        log.exception("the job ended early")
        record.fail(ending)
        if ending is error:
            raise
        raise ending from error


def _named(error: BaseException) -> BaseException:
    """Return an error in place of a `sys.exit` in the user's code, which would end the command with its status."""
    if isinstance(error, SystemExit):
        return KeepbestError(
            f"the training called sys.exit({error.code!r}) instead of returning. Raise an error there."
        )
    return error


def _is_first_rank() -> bool:
    from lightning.fabric.utilities import rank_zero

    return bool(rank_zero.rank_zero_only.rank == 0)  # type: ignore[attr-defined]  # Lightning sets it on the function


def _run(job_dir: Path, record: RunningRecord, interruption: Interruption, procedure: Procedure) -> None:
    config = read_job_config(job_dir, record.value)
    check(config)
    run_procedure(job_dir, config, record, interruption, procedure)


def run_procedure(
    job_dir: Path, config: PlainConfig, record: RunningRecord, interruption: Interruption, procedure: Procedure
) -> None:
    """Make a job's session, going on from its last checkpoint if it has one, and do with it what the procedure does.

    Args:
        job_dir: the job's directory, resolved.
        config: checked.
        record: the job's, started.
        interruption: of the block that takes the signals.
        procedure: what to do.
    """
    from keepbest.training.kept_files import KeptFiles
    from keepbest.training.logged_rows import keep_logged_rows
    from keepbest.training.other_ranks import end_other_ranks, lost_rank
    from keepbest.training.resume_point import find_resume_point
    from keepbest.training.session import prepare
    from keepbest.training.trainer_signals import signals_taken_from

    kept_files = KeptFiles(record, job_dir)
    resume_from = find_resume_point(job_dir, record.value, kept_files.recorded(), settles=record.writes)
    if resume_from is None and record.was_begun:
        log.info("an earlier attempt has left no checkpoint to go on from: the training starts over")
    session = prepare(
        config,
        job_dir,
        kept_files,
        writes=record.writes,
        resumes=resume_from is not None,
        also=procedure.callbacks(config, record),
    )
    keep_logged_rows(session.trainer, goes_on=resume_from is not None and record.writes)
    try:
        with signals_taken_from(session.trainer, interruption):
            procedure.run(session, record, resume_from)
    except BaseException as error:
        if as_interruption(error):
            end_other_ranks(session.trainer)
        elif lost := lost_rank(session.trainer, error):
            raise lost from error
        raise


class OwnJob:
    """A job of its own: fit, restore the best weights, verify them, test, draw, record.

    Args:
        job_dir: its directory.
    """

    def __init__(self, job_dir: Path) -> None:
        self._job_dir = job_dir

    def callbacks(self, config: PlainConfig, record: RunningRecord) -> Sequence[Callback]:
        """Return none."""
        return ()

    def run(self, session: Session, record: RunningRecord, resume_from: Path | None) -> None:
        """Train and test, and write the result."""
        from keepbest.training.best import note_best_so_far
        from keepbest.training.ending import status_of

        try:
            fit(session, record, resume_from)
        except BaseException:
            note_best_so_far(session, record, self._job_dir)
            raise
        evaluate_best(session, record, self._job_dir)
        if record.writes:
            _draw(session, record, self._job_dir)
        with signals_held():
            record.finish(status_of(session.history.checks, record.value.stopping))


def fit(session: Session, record: RunningRecord, resume_from: Path | None) -> None:
    """Train, from a checkpoint or from the beginning, and note how that ended."""
    from keepbest.guards.batches import require_checks, require_training, telling_empty_data
    from keepbest.training.ending import describe_policy_best, describe_stop

    try:
        with telling_empty_data():
            session.trainer.fit(session.model, datamodule=session.datamodule, ckpt_path=resume_from, weights_only=True)
    except RuntimeError as error:
        if "Early stopping conditioned on metric" in str(error):  # Lightning's words for a check that has no value
            require_checks(session.trainer, session.history.validations)
            raise MonitorError(session.objective.monitor, session.trainer.callback_metrics) from error
        raise
    require_training(session.trainer)
    require_checks(session.trainer, len(session.history.checks))
    record.note_epochs(session.trainer.current_epoch)
    record.note(stopping=describe_stop(session), policy_best=describe_policy_best(session))


def evaluate_best(session: Session, record: RunningRecord, job_dir: Path) -> None:
    """Restore the best weights of a finished fit, verify and test them; without any, test those it ended with."""
    from keepbest.training.best import find_best, forget_best, note_best, restore_and_verify

    best = find_best(session)
    if best:
        note_best(best, session, record, job_dir)
        restore_and_verify(best, session, record)
    else:
        forget_best(record)
    test(session, record)


def test(session: Session, record: RunningRecord) -> None:
    """Evaluate the weights that the model holds now on the test data, where there are both a step and a loader."""
    from lightning.pytorch.utilities.model_helpers import is_overridden

    if is_overridden("test_step", session.model) and is_overridden("test_dataloader", session.datamodule):
        results = session.trainer.test(session.model, datamodule=session.datamodule, verbose=False)
        record.note(test={name: value for result in results for name, value in result.items()} or None)


def _draw(session: Session, record: RunningRecord, job_dir: Path) -> None:
    """Draw the curve. A picture that fails is a pity, not a failed run."""
    from keepbest.reports.curve import CURVE_FILE, draw_curve

    history = session.history
    try:
        draw_curve(job_dir / CURVE_FILE, history.checks, session.objective, record.value)
    except Exception:
        log.warning("%s could not be drawn", CURVE_FILE, exc_info=True)
