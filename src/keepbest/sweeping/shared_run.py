"""One training, and a result for each of its members."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.composition.schema import objective_of
from keepbest.errors import OwnedError
from keepbest.records.ownership import require_free
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import read_record
from keepbest.sweeping.member_record import MemberRecord
from keepbest.sweeping.members import read_members
from keepbest.training.execute import execute, fit
from keepbest.training.interruption import signals_held
from keepbest.training.running_record import FINISHED, RunningRecord

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from keepbest.composition.resolved import PlainConfig
    from keepbest.sweeping.endings import Endings
    from keepbest.sweeping.member_stopping import MemberStopping
    from keepbest.training.session import Session

log = logging.getLogger(__name__)


def execute_shared(directory: Path) -> RunRecord:
    """Train what the members of a directory share, up to the last one's stop, and leave a finished record for each.

    What was interrupted goes on from its last checkpoint; members that have their result keep it.

    Args:
        directory: holds `config.yaml`, `members.json` and `run.json`; the members' directories hold the latter and
            their own config.

    Returns:
        The record of the shared training.

    Raises:
        OwnedError: when another process trains in the directory, or in that of a member that has no result.
        Exception: whatever ended the training early, once the members' records say so.
    """
    training = SharedTraining(directory.resolve())
    training.require_free_members()
    try:
        return execute(directory, training)
    except OwnedError:
        raise
    except BaseException as error:
        training.fail(error)
        raise


class SharedTraining:
    """A training that several jobs share: fit with the policies of all watching, then settle each member.

    Args:
        directory: of the training.
    """

    def __init__(self, directory: Path) -> None:
        self._directory, self._members = directory, read_members(directory)
        self._records: list[MemberRecord] = []
        self._watchers: tuple[MemberStopping, Endings] | None = None

    def require_free_members(self) -> None:
        """Refuse members that another process trains on their own.

        Raises:
            OwnedError: when there is one; nothing is written.
        """
        for member in self._members.all:
            if read_record(member.directory).status not in FINISHED:
                require_free(member.directory)

    def callbacks(self, config: PlainConfig, record: RunningRecord) -> Sequence[Callback]:
        """Return what watches for the members."""
        from keepbest.sweeping.endings import Endings
        from keepbest.sweeping.member_stopping import MemberStopping

        self._records = [MemberRecord(member, self._directory, self._members, record) for member in self._members.all]
        stopping = MemberStopping(
            objective_of(config),
            [member.policy for member in self._members.all],
            check_on_train_epoch_end=self._members.check_on_train_epoch_end,
            strict=self._members.strict,
        )
        self._watchers = stopping, Endings(stopping, record, self._directory)
        return self._watchers

    def run(self, session: Session, record: RunningRecord, resume_from: Path | None) -> None:
        """Train, and write the result of every member that has none."""
        from keepbest.sweeping.settlement import Settlement

        assert self._watchers is not None
        stopping, endings = self._watchers
        endings.watch(session)
        for member in self._records:
            member.start()
        fit(session, record, resume_from)
        endings.conclude_all(session.trainer)
        record.note(stopping=None, policy_best=None)
        Settlement(session, stopping, endings, self._records).settle()
        if record.writes:
            self._draw(session, stopping, endings)
        with signals_held():
            record.finish(RunStatus.COMPLETED)

    def fail(self, error: BaseException) -> None:
        """Write into the record of every member that has no result what ended the training early."""
        for member in self._records:
            member.fail(error)

    def _draw(self, session: Session, stopping: MemberStopping, endings: Endings) -> None:
        """Draw the curve. A picture that fails is a pity, not a failed sweep."""
        from keepbest.reports.curve import CURVE_FILE
        from keepbest.reports.shared_curve import MemberEnd, draw_shared_curve

        pairs = [(m, endings.of(watch)) for m, watch in zip(self._members.all, stopping.watches, strict=True)]
        ends = [MemberEnd(m.directory.name, end.checks, end.best[1] if end.best else None) for m, end in pairs]
        title = f"{len(ends)} members share this training"
        try:
            draw_shared_curve(self._directory / CURVE_FILE, session.history.checks, session.objective, ends, title)
        except Exception:
            log.warning("%s could not be drawn", CURVE_FILE, exc_info=True)
