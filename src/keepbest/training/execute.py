"""One job directory, from config to record: fit, restore the best weights, verify them, test, record."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.composition.checks import check
from keepbest.composition.resolved import read_config
from keepbest.errors import KeepbestError, MonitorError
from keepbest.records.ownership import owned
from keepbest.records.run_record import RunRecord
from keepbest.training.interruption import Termination, as_interruption, ended_by_sigterm
from keepbest.training.job_log import job_log
from keepbest.training.running_record import RunningRecord

if TYPE_CHECKING:
    from keepbest.training.session import Session

log = logging.getLogger(__name__)


def execute(job_dir: Path) -> RunRecord:
    """Run the job of a directory that holds `config.yaml` and `run.json`, and leave a finished record.

    A job that was interrupted, or failed, goes on from its last checkpoint; without one it starts over. Needs no Hydra
    app around it. Under DDP every rank calls this, and the first one writes.

    Returns:
        The record as written, `completed` or `diverged`.

    Raises:
        OwnedError: when another process trains in the directory.
        RecordError: when the job has a result already; its record stays as it is.
        Exception: whatever ended the job early, once the record says `failed` or `interrupted`.
    """
    writes = _is_first_rank()
    with owned(job_dir) if writes else nullcontext():
        record = RunningRecord(job_dir, writes=writes)
        record.require_unfinished()
        with job_log(job_dir, speaks=writes), ended_by_sigterm() as termination:
            try:
                record.start()
                _run(job_dir, record, termination)
            except BaseException as error:
                interruption = as_interruption(error)
                ending = interruption or _named(error)
                log.exception("the job ended early")
                record.fail(ending)
                if ending is error:
                    raise
                raise ending from error
    return record.value


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


def _run(job_dir: Path, record: RunningRecord, termination: Termination) -> None:
    from keepbest.training.best import find_best, forget_best, note_best, note_best_so_far, restore_and_verify
    from keepbest.training.ending import status_of
    from keepbest.training.kept_files import KeptFiles
    from keepbest.training.resume_point import find_resume_point
    from keepbest.training.session import prepare

    config = read_config(job_dir)
    check(config)
    kept_files = KeptFiles(record, job_dir)
    resume_from = find_resume_point(job_dir, record.value, kept_files.recorded(), settles=record.writes)
    session = prepare(config, job_dir, kept_files, writes=record.writes)
    termination.trainer = session.trainer
    try:
        _fit(session, record, resume_from)
    except BaseException:
        note_best_so_far(session, record, job_dir)
        raise
    best = find_best(session)
    if best:
        note_best(best, session, record, job_dir)
        restore_and_verify(best, session, record)
    else:
        forget_best(record)
    _test(session, record)
    if record.writes:
        _draw(session, record, job_dir)
    record.finish(status_of(session.history, record.value.stopping))


def _fit(session: Session, record: RunningRecord, resume_from: Path | None) -> None:
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


def _test(session: Session, record: RunningRecord) -> None:
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
