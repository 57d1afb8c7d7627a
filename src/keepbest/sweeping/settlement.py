"""After a shared training: each member's best weights verified and tested, and its record written."""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keepbest.callbacks.trainer_position import move_to, readers_of_position
from keepbest.checkpoints.loading import read_safely
from keepbest.checkpoints.random_state import restore_random_state
from keepbest.records.run_record import Verification
from keepbest.sweeping.endings import WEIGHTS_FILE, Ending, Endings, check_of
from keepbest.sweeping.module_memory import changed
from keepbest.sweeping.own_end import OwnEnd, train_anew
from keepbest.sweeping.own_state import NotRestoredError
from keepbest.training.best import Best, require_kept, restore_and_verify
from keepbest.training.ending import limit_reached, status_of
from keepbest.training.execute import test

if TYPE_CHECKING:
    from keepbest.sweeping.member_record import MemberRecord
    from keepbest.sweeping.member_stopping import MemberStopping, Watch
    from keepbest.training.session import Session

log = logging.getLogger(__name__)

_Pair = tuple["MemberRecord", "Watch"]


@dataclass(frozen=True)
class _Evaluation:
    """What the best weights gave when they were evaluated again."""

    verified: Verification | None
    test: dict[str, float] | None


class Settlement:
    """Gives every member that has none its result.

    For each, the trainer, the module and the random numbers are taken back to where its own training would have ended.
    Members of one best checkpoint are evaluated once, where that makes no difference: the module remembers the same,
    none of the user's code asks how far the training is, and no random numbers matter, which is tried on the first
    checkpoint that two members share. A member whose module cannot be taken back is trained from the beginning. Members
    that stopped within an epoch are given the end of it first, see `OwnEnd`.

    Args:
        session: the finished training.
        stopping: what each member's policy has seen.
        endings: where it ended for each.
        records: the members' records, in the same order.
    """

    def __init__(
        self, session: Session, stopping: MemberStopping, endings: Endings, records: Sequence[MemberRecord]
    ) -> None:
        self._session, self._endings = session, endings
        self._limit = limit_reached(session.trainer)
        self._checks, self._rows = session.history.as_of_now(session.trainer)
        self._open = [pair for pair in zip(records, stopping.watches, strict=True) if pair[0].is_open]
        self._position = session.trainer.current_epoch, session.trainer.global_step
        self._at_end = endings.moments.keep(session.model)
        self._changed_by_end = changed(endings.before_end, self._at_end)
        self._is_changed_by_end = not self._on_all_ranks(not self._changed_by_end)
        self._repeats: bool | None = None  # whether an evaluation gives the same with other random numbers
        self._asks_position = False  # whether an evaluation has asked how far the training is

    def settle(self) -> None:
        """Write all results.

        Raises:
            Exception: what went wrong for the first member for which something did, once all others are settled.
        """
        failures: list[Exception] = []
        for pairs, settle in self._groups():
            for record, watch in pairs:
                try:
                    settle(record, watch)
                except Exception as error:
                    log.exception("%s has no result", record.directory)
                    record.fail(error)
                    failures.append(error)
        move_to(self._session.trainer, *self._position)
        if failures:
            raise failures[0]
        if self._session.trainer.is_global_zero:
            self._endings.links.drop()

    def _groups(self) -> Iterator[tuple[list[_Pair], Callable[[MemberRecord, Watch], None]]]:
        """Yield members whose results have to do with each other, with what gives one of them its result."""
        for same_best in self._by_best():
            known: dict[str, _Evaluation] = {}
            yield same_best, functools.partial(self._settle, known=known)
        for same_end in self._by_end_within().values():
            yield same_end, OwnEnd(self._session, self._endings).settle

    def _by_end_within(self) -> dict[str, list[_Pair]]:
        """Return those whose epoch was cut short, by the name of their ending."""
        groups = defaultdict(list)
        for record, watch in self._open:
            ending = self._endings.of(watch)
            if ending.within:
                groups[ending.name].append((record, watch))
        return groups

    def _by_best(self) -> list[list[_Pair]]:
        """Return those who have the same weights to evaluate together."""
        groups = defaultdict(list)
        for record, watch in self._open:
            ending = self._endings.of(watch)
            if not ending.within:
                groups[ending.best or ending.name].append((record, watch))
        return list(groups.values())

    def _settle(self, record: MemberRecord, watch: Watch, known: dict[str, _Evaluation]) -> None:
        ending = self._endings.of(watch)
        checks = self._checks[: ending.checks]
        record.conclude(watch, ending, checks, self._limit)
        record.keep(ending, self._rows[: ending.rows], self._endings.links)
        self._session.trainer.strategy.barrier()
        try:
            evaluation = known[ending.name] = self._evaluated(record, ending, known)
        except NotRestoredError as lost:
            if self._session.trainer.world_size > 1:  # another fit does not fit into these ranks
                raise
            checks = list(train_anew(record, ending, lost))
        else:
            record.running.note(verified=evaluation.verified, test=evaluation.test)
        record.finish(status_of(checks, record.running.value.stopping), ending)

    def _evaluated(self, record: MemberRecord, ending: Ending, known: dict[str, _Evaluation]) -> _Evaluation:
        """Return what an ending's weights give, measured or known from the others with these weights."""
        if ending.name in known:
            return known[ending.name]
        alike = self._alike(ending, known) if known and not self._asks_position else None
        if alike and self._repeats:
            return alike
        evaluation = self._evaluate(record, ending)
        if alike and self._repeats is None and not self._asks_position:
            self._repeats = self._on_all_ranks(evaluation == alike)
        return evaluation

    def _alike(self, ending: Ending, known: Mapping[str, _Evaluation]) -> _Evaluation | None:
        """Return what the weights gave at another ending where the module, on every rank, remembered the same."""
        memory = self._memory_of(ending)
        names = [name for name in known if self._memory_of(self._endings.named(name)) == memory]
        return known[names[0]] if self._on_all_ranks(bool(names)) else None

    def _memory_of(self, ending: Ending) -> dict[str, str]:
        """Return what the module would remember after a fit that ended there.

        Raises:
            NotRestoredError: where the end of a fit changes it, which it did once, for the longest.
        """
        if ending.epochs == self._position[0]:
            return self._at_end
        if self._is_changed_by_end:
            raise NotRestoredError(self._changed_by_end or ["an attribute on another rank"])
        return ending.memory

    def _evaluate(self, record: MemberRecord, ending: Ending) -> _Evaluation:
        session = self._session
        lost = self._endings.moments.take_back(session.model, self._memory_of(ending))
        if not self._on_all_ranks(not lost):
            raise NotRestoredError(lost or ["an attribute on another rank"])
        move_to(session.trainer, ending.epochs, ending.step)
        restore_random_state(ending.random_state)
        with readers_of_position(session.trainer) as readers:
            self._restore_and_test(record, ending)
        self._asks_position = not self._on_all_ranks(not readers) or self._asks_position
        return _Evaluation(record.running.value.verified, record.running.value.test)

    def _restore_and_test(self, record: MemberRecord, ending: Ending) -> None:
        best = check_of(ending)
        if best is None:
            weights = read_safely(self._endings.links.place(ending.name, WEIGHTS_FILE))
            self._session.model.load_state_dict(weights)
        else:
            require_kept(best, ending.kept_score, self._session.objective.monitor)
            path = record.directory / ending.best_file if ending.best_file else None
            restore_and_verify(Best(best, path), self._session, record.running)
        test(self._session, record.running)

    def _on_all_ranks(self, condition: bool) -> bool:
        return self._session.trainer.strategy.reduce_boolean_decision(condition, all=True)
