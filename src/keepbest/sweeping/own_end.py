"""The end of an epoch that a stop cuts short, for members whose shared training went on with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.checkpoints.hashing import sha256_of
from keepbest.records.run_record import LastCheckpoint, RunRecord
from keepbest.sweeping.endings import STATE_FILE, files_of
from keepbest.sweeping.own_state import NotRestoredError, OwnState
from keepbest.training.best import forget_best
from keepbest.training.ending import status_of
from keepbest.training.execute import evaluate_best, fit, run_procedure
from keepbest.training.interruption import ended_by_signals
from keepbest.training.job import read_job_config

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from keepbest.callbacks.history import Check
    from keepbest.composition.resolved import PlainConfig
    from keepbest.records.metrics_table import Row
    from keepbest.sweeping.endings import Ending, Endings
    from keepbest.sweeping.member_record import MemberRecord
    from keepbest.sweeping.member_stopping import Watch
    from keepbest.training.running_record import RunningRecord
    from keepbest.training.session import Session

log = logging.getLogger(__name__)

_RESUMED_FILE = "stopped.ckpt"
_NO_LOGGER = {"_target_": "lightning.pytorch.loggers.logger.DummyLogger"}
_BEST = (
    "best_model_path", "best_model_score", "best_epoch", "best_step", "best_sha256", "best_bytes", "verified", "test",
)  # fmt: skip


@dataclass(frozen=True)
class _Result:
    """What the members of one ending have in common."""

    record: RunRecord
    directory: Path
    files: Sequence[str]
    checks: Sequence[Check]
    rows: Sequence[Row]


class OwnEnd:
    """Gives the members of one ending within an epoch their results.

    A job of its own ends its epoch where its policy says stop: the hooks of the epoch's end see a part of an epoch, and
    so does the last row of its metrics. So the first of the members goes on from the state that was kept there, as a
    job of its own does that was killed at this moment: it finds itself stopped, ends the epoch, and is verified and
    tested. The others have the same end; only what their policies say differs.

    Where the module knows something of the epoch that the state lacks, the first member is trained from the beginning.

    Args:
        session: of the shared training.
        endings: where it ended for each member.
    """

    def __init__(self, session: Session, endings: Endings) -> None:
        self._session, self._endings = session, endings
        self._result: _Result | None = None

    def settle(self, record: MemberRecord, watch: Watch) -> None:
        """Write a member's result; all members have the same ending."""
        ending = self._endings.of(watch)
        if self._result is None:
            self._result = self._reach(record, watch, ending)
        else:
            _hand_over(self._result, record)
            record.conclude(watch, ending, self._result.checks, None)
        record.finish(status_of(self._result.checks, record.running.value.stopping), ending)

    def _reach(self, record: MemberRecord, watch: Watch, ending: Ending) -> _Result:
        """Let a member go on from the kept state to its end."""
        directory = record.directory.resolve()
        state = self._take_state(record, ending)
        try:
            procedure = _Procedure(directory, OwnState(watch, self._session.objective, directory))
            return procedure.result_for(record)
        except NotRestoredError as lost:
            return _result_anew(record, ending, lost)
        finally:
            state.unlink(missing_ok=True)
            record.running.note(last=None)

    def _take_state(self, record: MemberRecord, ending: Ending) -> Path:
        """Put what was kept where a job of its own would have it, into the directory and into the record."""
        keeper = self._session.keeper
        assert keeper is not None, "a training is not shared without one"
        name = self._endings.relative(str(Path(str(keeper.dirpath)) / _RESUMED_FILE))
        path = record.directory / name
        forget_best(record.running)
        record.take_files(ending, self._endings.links)
        record.take(self._endings.links.place(ending.name, STATE_FILE), name)
        last = LastCheckpoint(
            name, sha256_of(path), path.stat().st_size, ending.epochs - 1, ending.step, ended_early=False
        )
        record.running.note(last=last)
        return path


def train_anew(record: MemberRecord, ending: Ending, lost: NotRestoredError) -> Sequence[Check]:
    """Train a member from the beginning, verify and test it; return its checks.

    Args:
        record: the member's.
        ending: where its policy has stopped.
        lost: why what the shared training has left does not do.
    """
    return _result_anew(record, ending, lost).checks


def _result_anew(record: MemberRecord, ending: Ending, lost: NotRestoredError) -> _Result:
    directory = record.directory.resolve()
    log.warning("%s is trained from the beginning: %s", directory.name, lost)
    forget_best(record.running)
    record.running.note(last=None)
    for name in ending.files:
        (directory / name).unlink(missing_ok=True)
    return _Procedure(directory, None).result_for(record)


class _Procedure:
    """What a member does by itself: fit to the end, restore the best weights, verify and test them.

    Args:
        directory: the member's, resolved.
        state: takes the shared training's state for the member's; None for a training from the beginning.
    """

    def __init__(self, directory: Path, state: OwnState | None) -> None:
        self._directory, self._state = directory, state
        self._found: dict[str, Any] = {}

    def result_for(self, record: MemberRecord) -> _Result:
        """Carry it out."""
        config = _without_loggers(read_job_config(self._directory, record.running.value))
        if self._state:
            config = _without_looking_at_data(config)
        with ended_by_signals() as interruption:
            run_procedure(self._directory, config, record.running, interruption, self)
        return _Result(record.running.value, self._directory, **self._found)

    def callbacks(self, config: PlainConfig, record: RunningRecord) -> Sequence[Callback]:
        """Return what loads the state."""
        return [self._state] if self._state else []

    def run(self, session: Session, record: RunningRecord, resume_from: Path | None) -> None:
        """Train to the end and evaluate."""
        fit(session, record, resume_from)
        keeper = session.keeper
        kept = files_of(keeper)
        if keeper and keeper.last_model_path and keeper.last_model_path not in kept:
            Path(keeper.last_model_path).unlink(missing_ok=True)  # members are not extended
        files = [Path(path).relative_to(self._directory).as_posix() for path in kept]
        self._found = {"files": files, "checks": session.history.checks, "rows": session.history.rows}
        evaluate_best(session, record, self._directory)


def _without_loggers(config: PlainConfig) -> PlainConfig:
    """Return a member's config with loggers that do nothing: the shared training has logged for all."""
    loggers = {name: _NO_LOGGER for name, node in (config.get("logger") or {}).items() if node}
    return {**config, "logger": loggers or None}


def _without_looking_at_data(config: PlainConfig) -> PlainConfig:
    return {**config, "guards": {**(config.get("guards") or {}), "overlap": False, "patience": False}}


def _hand_over(result: _Result, record: MemberRecord) -> None:
    """Give a member what another one of the same ending has."""
    record.write_metrics(result.rows)
    for name in result.files:
        record.take(result.directory / name, name)
    record.running.note(**{name: getattr(result.record, name) for name in _BEST})
