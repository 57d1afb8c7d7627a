"""What the policies of a grid came to on one trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepbest.stopping.policy_grid import PolicyGrid
from keepbest.stopping.reasons import StopReason
from keepbest.stopping.trajectory import Trajectory

NONE = -1
"""In an array of check numbers or reasons: there is none."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What each policy came to; every array has the grid's shape: patience, min_delta, baseline, start_from_epoch.

    A policy is censored where the history ended before the policy did: nobody knows where it would have stopped. Its
    numbers are `NONE` or NaN.

    Args:
        trajectory: the checks.
        grid: the policies.
        last_check: the number of the last check that the policy saw, from 0; `NONE` where it is censored.
        reason: why it was the last: a place in `list(StopReason)`; `NONE` where it is censored.
        policy_best_check: the number of the check that the policy accepted last, `NONE` without one. What a censored
            policy had accepted when the history ended is there, too.
        best_so_far: at each check, the number of the best one up to it (by the trajectory's `kept_min_delta`); `NONE`
            before the first, and where it is an infinity, for which no weights are kept. Its shape is that of the
            trajectory.
    """

    trajectory: Trajectory
    grid: PolicyGrid
    last_check: NDArray[np.int32]
    reason: NDArray[np.int8]
    policy_best_check: NDArray[np.int32]
    best_so_far: NDArray[np.int32]

    @property
    def censored(self) -> NDArray[np.bool_]:
        """Where the history ended before the policy did."""
        return np.equal(self.last_check, NONE)

    @property
    def stopped(self) -> NDArray[np.bool_]:
        """Where the policy said stop, rather than a limit of the trainer."""
        return _IS_EARLY[self.reason]

    @property
    def best_check(self) -> NDArray[np.int32]:
        """The number of the check whose weights are kept, the best up to the stop; `NONE` without one."""
        if self.trajectory.keeps_policy_best:
            accepted = np.append(np.isfinite(self.trajectory.values), False)[self.policy_best_check] & ~self.censored
            return np.where(accepted, self.policy_best_check, np.int32(NONE))
        return np.append(self.best_so_far, np.int32(NONE))[self.last_check]

    @property
    def stopped_epoch(self) -> Numbers:
        """The epoch of the stop; NaN where the policy did not stop."""
        return np.where(self.stopped, self._at(self.trajectory.epochs, self.last_check), np.nan)

    @property
    def checks(self) -> Numbers:
        """How many checks the policy saw."""
        return np.where(self.censored, np.nan, self.last_check + 1.0)

    @property
    def epochs(self) -> Numbers:
        """How many epochs were trained, the one of the stop included."""
        total = np.where(self.censored, np.nan, float(self.trajectory.total_epochs))
        return np.where(self.stopped, self.stopped_epoch + 1, total)

    @property
    def epochs_saved(self) -> Numbers:
        """How many epochs fewer than the history has."""
        return self.trajectory.total_epochs - self.epochs

    @property
    def best_epoch(self) -> Numbers:
        """The epoch of the best check."""
        return self._at(self.trajectory.epochs, self.best_check)

    @property
    def score(self) -> Numbers:
        """The value of the best check."""
        return self._at(self.trajectory.values, self.best_check)

    @property
    def regret(self) -> Numbers:
        """How much worse the score is than the best of the whole history, at least 0.

        It is infinite where nothing was kept, and NaN where the whole history has nothing to keep either. An infinity
        is no score, wherever it lies: the best is that of the checks before it.
        """
        best = last_kept(self.best_so_far)
        if best is None:
            return np.full(self.grid.shape, np.nan)
        whole = float(self.trajectory.values[best])
        away = np.where(self.best_check == NONE, np.inf, np.abs(self.score - whole))
        return np.where(self.censored, np.nan, away)

    @property
    def policy_best_epoch(self) -> Numbers:
        """The epoch of the value that the policy accepted last."""
        return self._known(self._at(self.trajectory.epochs, self.policy_best_check))

    @property
    def policy_best(self) -> Numbers:
        """The value that the policy accepted last."""
        return self._known(self._at(self.trajectory.values, self.policy_best_check))

    def reasons(self) -> NDArray[Any]:
        """Return the reasons as texts, None where a policy is censored; flat."""
        return np.array([*(reason.value for reason in StopReason), None], dtype=object)[self.reason.ravel()]

    def _known(self, numbers: Numbers) -> Numbers:
        return np.where(self.censored, np.nan, numbers)

    @staticmethod
    def _at(series: NDArray[Any], checks: NDArray[np.int32]) -> Numbers:
        """Return the numbers of a series at checks, NaN where there is no check."""
        return np.append(series.astype(np.float64), np.nan)[checks]


def last_kept(best_so_far: NDArray[np.int32]) -> int | None:
    """Return the last of the checks that were the best one up to some check; None without any."""
    kept = best_so_far[best_so_far != NONE]
    return int(kept[-1]) if kept.size else None


_IS_EARLY = np.array([*(reason.is_early for reason in StopReason), False])
