"""The record of one member, written by the process that trains for all of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.checkpoints.hashing import sha256_of
from keepbest.composition.resolved import CONFIG_FILE
from keepbest.records.atomic import make_directory
from keepbest.records.metrics_table import METRICS_FILE, MetricsTable, Row
from keepbest.records.run_record import RunStatus, Stopping, TrajectoryReference
from keepbest.sweeping.kept_links import KeptLinks, link_or_copy
from keepbest.training.running_record import FINISHED, RunningRecord

if TYPE_CHECKING:
    from keepbest.callbacks.history import Check
    from keepbest.stopping.reasons import StopReason
    from keepbest.sweeping.endings import Ending
    from keepbest.sweeping.member_stopping import Watch
    from keepbest.sweeping.members import Member, Members


class MemberRecord:
    """Writes what an independent job would have left: record, metrics and best checkpoint.

    Args:
        member: whose.
        training_dir: where the shared training's files lie.
        members: all that share it.
        training: the record of the shared training.
    """

    def __init__(self, member: Member, training_dir: Path, members: Members, training: RunningRecord) -> None:
        self.directory = member.directory
        self._training = training
        self._record = RunningRecord(member.directory, writes=training.writes)
        self._reference = TrajectoryReference(
            members.fingerprint,
            len(members.all),
            Path(os.path.relpath(training_dir, member.directory)).as_posix(),
        )
        self._open = self._record.value.status not in FINISHED

    @property
    def is_open(self) -> bool:
        """Whether the member still lacks its result."""
        return self._open

    @property
    def running(self) -> RunningRecord:
        """The record underneath."""
        return self._record

    def start(self) -> None:
        """Write that the member is being trained."""
        if not self._open:
            return
        training, value = self._training.value, self._record.value
        environment = dataclasses.replace(
            value.environment,
            host=training.environment.host,
            pid=training.environment.pid,
            threads=training.environment.threads,
        )
        self._record.note(
            environment=environment,
            config_sha256=sha256_of(self.directory / CONFIG_FILE),
            trajectory=self._reference,
            timing=dataclasses.replace(value.timing, started=training.timing.started, finished=None),
            error=None,
            status=RunStatus.RUNNING,
        )
        self._record.write()

    def conclude(self, watch: Watch, ending: Ending, checks: Sequence[Check], limit: StopReason | None) -> None:
        """Take in how the training ended for this member."""
        from keepbest.training.ending import policy_best_of

        reason = watch.state.reason if watch.state and watch.state.reason else limit
        stopping = Stopping(
            policy=watch.state.policy.as_dict() if watch.state else None,
            stopped_epoch=checks[-1].epoch if watch.stopped else None,
            checks=len(checks),
            reason=reason.value if reason else None,
            message=watch.message,
        )
        self._record.note(stopping=stopping, policy_best=policy_best_of(watch.state))
        self._record.note_epochs(ending.epochs)

    def keep(self, ending: Ending, rows: Sequence[Row], links: KeptLinks) -> None:
        """Write the metrics up to the ending, and give the checkpoints that were kept by then their names here."""
        if not self._record.writes:
            return
        self.write_metrics(rows)
        self.take_files(ending, links)

    def write_metrics(self, rows: Sequence[Row]) -> None:
        """Write the metrics."""
        MetricsTable(self.directory / METRICS_FILE).restore(rows)

    def take_files(self, ending: Ending, links: KeptLinks) -> None:
        """Give the checkpoints that were kept by an ending their names here, and note the best of them."""
        for name in ending.files:
            self.take(links.place(ending.name, name), name)
        self._note_best(ending)

    def take(self, source: Path, name: str) -> None:
        """Give a file a name below the member's directory."""
        make_directory((self.directory / name).parent)
        link_or_copy(source, self.directory / name)

    def _note_best(self, ending: Ending) -> None:
        if ending.best is None or ending.best_file is None:
            return
        (epoch, step, score), file = ending.best, ending.best_file
        self._record.note(
            best_model_path=file,
            best_model_score=score,
            best_epoch=epoch,
            best_step=step,
            best_sha256=ending.sha256,
            best_bytes=(self.directory / file).stat().st_size,
        )

    def finish(self, status: RunStatus, ending: Ending) -> None:
        """Write the result."""
        self._record.finish(status, seconds=ending.seconds)
        self._open = False

    def fail(self, error: BaseException) -> None:
        """Write what ended it early, unless it has its result."""
        if self._open:
            self._record.fail(error)
            self._open = False
