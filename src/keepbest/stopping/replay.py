"""What policies would have done on a recorded trajectory: a whole grid of them in one pass, exactly.

For one `min_delta` (and baseline, and first epoch) the improvements that a policy accepts do not depend on its
patience, until it stops. So the number of checks waited is worked out once per such setting, for all checks; a patience
stops at the first check at which it was reached. Settings that accept the same checks share the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepbest.stopping.outcomes import NONE, Outcomes, last_kept
from keepbest.stopping.policy import StoppingPolicy
from keepbest.stopping.policy_grid import PolicyGrid
from keepbest.stopping.reasons import StopReason
from keepbest.stopping.trajectory import Trajectory

Indices = NDArray[np.int32]
_CELLS_AT_A_TIME = 8_000_000
"""Checks, or patiences, times values of `min_delta` that are held in memory at a time."""


def replay_policies(trajectory: Trajectory, grid: PolicyGrid) -> Outcomes:
    """Return what every policy of a grid would have done, which is what `StoppingPolicy` does check by check.

    Args:
        trajectory: the checks.
        grid: the policies.
    """
    last, accepted = np.full(grid.shape, NONE, np.int32), np.full(grid.shape, NONE, np.int32)
    reason = np.full(grid.shape, NONE, np.int8)
    for s, start in enumerate(grid.start_from_epoch):
        watched = _watch(trajectory, grid.common, start)
        for b, baseline in enumerate(grid.baseline):
            for part in _parts(grid.min_delta.size, max(watched.values.size, grid.patience.size)):
                deltas = _in_precision(grid.min_delta[part], trajectory.precision)
                limit = None if baseline is None else _signed(baseline, grid.common.mode, trajectory.precision)
                by_patience, improved = _stops(watched, deltas, limit, grid.patience)
                last[:, part, b, s], accepted[:, part, b, s] = watched.checks_of(by_patience), improved
                reason[:, part, b, s] = watched.reasons_of(by_patience)
    ends = last == NONE
    if trajectory.limit is not None:
        last[ends], reason[ends] = trajectory.values.size - 1, _code(trajectory.limit)
    return Outcomes(trajectory, grid, last, reason, accepted, best_so_far(trajectory, grid.common.mode))


@dataclass(frozen=True, eq=False)
class _Watched:
    """The checks that decide about patience, in order: K of them.

    Args:
        values: theirs; lower is better.
        may_stop: where a stop is allowed.
        places: their numbers in the trajectory.
        at_once: the check at which any policy stops by its value alone, `NONE` without one; none of K comes after it.
        at_once_reason: the code of why, `NONE` without one.
    """

    values: NDArray[Any]
    may_stop: NDArray[np.bool_]
    places: Indices
    at_once: int
    at_once_reason: int

    def checks_of(self, stops: Indices) -> Indices:
        """Return the numbers in the trajectory of stops among the K; K itself is no stop by patience."""
        return np.append(self.places, np.int32(self.at_once))[stops]

    def reasons_of(self, stops: Indices) -> NDArray[np.int8]:
        """Return the codes of why, `NONE` where nothing stops."""
        patience = np.int8(_code(StopReason.PATIENCE_EXHAUSTED))
        return np.where(stops < self.places.size, patience, np.int8(self.at_once_reason))


def _watch(trajectory: Trajectory, common: StoppingPolicy, start: int) -> _Watched:
    values = trajectory.signed(common.mode)
    looked_at = trajectory.epochs >= start
    at_once = _reasons_at_once(trajectory, values, common)
    may_stop = trajectory.epochs + 1 >= common.min_epochs
    if trajectory.may_stop is not None:
        may_stop &= trajectory.may_stop
    stops = np.flatnonzero(looked_at & may_stop & (at_once != NONE))
    first = int(stops[0]) if stops.size else NONE
    decides = looked_at & (at_once == NONE)
    if stops.size:
        decides[first:] = False
    return _Watched(
        values[decides],
        may_stop[decides],
        np.flatnonzero(decides).astype(np.int32),
        first,
        int(at_once[first]) if stops.size else NONE,
    )


def _reasons_at_once(trajectory: Trajectory, values: NDArray[Any], common: StoppingPolicy) -> NDArray[np.int8]:
    """Return the code of the reason to stop that lies in each value alone, `NONE` where there is none."""
    reasons = np.full(values.size, NONE, np.int8)
    if common.divergence_threshold is not None:
        beyond = values > _signed(common.divergence_threshold, common.mode, trajectory.precision)
        reasons[beyond] = _code(StopReason.DIVERGED)
    if common.stopping_threshold is not None:
        reached = values < _signed(common.stopping_threshold, common.mode, trajectory.precision)
        reasons[reached] = _code(StopReason.THRESHOLD_REACHED)
    if common.check_finite:
        reasons[~np.isfinite(trajectory.values)] = _code(StopReason.NON_FINITE)
    return reasons


def _stops(
    watched: _Watched, deltas: NDArray[Any], baseline: Any, patience: NDArray[np.int64]
) -> tuple[Indices, Indices]:
    """Return for P patiences and D values of min_delta where each stops, and the check accepted last by then.

    Returns:
        Places among the K watched checks, K for no stop, shape (P, D); and numbers of checks in the trajectory, `NONE`
        without one, of the same shape.
    """
    accepted, resets = _improvements(watched.values, deltas, baseline)
    firsts, group = _groups(accepted, resets)
    accepted, resets = accepted[:, firsts], resets[:, firsts]
    checks = np.arange(watched.values.size, dtype=np.int32)[:, None]
    waited = checks - _latest(resets, checks)
    waited[accepted | ~watched.may_stop[:, None]] = 0
    stops = _first_reaching(waited)[np.clip(patience, 1, checks.size + 1)]
    latest = np.vstack([_latest(accepted, checks), np.full((1, firsts.size), NONE, np.int32)])
    latest[-1] = latest[-2] if checks.size else NONE
    best = np.append(watched.places, np.int32(NONE))[np.take_along_axis(latest, stops, axis=0)]
    return stops[:, group], best[:, group]


def _improvements(
    values: NDArray[Any], deltas: NDArray[Any], baseline: Any
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which checks each min_delta accepts, and which of them start patience anew, shape (K, D).

    Only a value below all before it can be accepted: adding the same number keeps the order of two values.
    """
    accepted = np.zeros((values.size, deltas.size), np.bool_)
    resets = accepted if baseline is None else np.zeros_like(accepted)
    best = np.full(deltas.size, np.inf, values.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for check in _records(values):
            raised = values[check] + deltas
            np.less(raised, best, out=accepted[check])
            np.copyto(best, values[check], where=accepted[check])
            if baseline is not None:
                resets[check] = accepted[check] & (raised < baseline)
    return accepted, resets


def _groups(accepted: NDArray[np.bool_], resets: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first of each row of neighbouring columns that are the same, and the group that each belongs to."""
    differs = (accepted[:, 1:] != accepted[:, :-1]).any(axis=0)
    if resets is not accepted:
        differs |= (resets[:, 1:] != resets[:, :-1]).any(axis=0)
    begins = np.concatenate([[True], differs])
    return np.flatnonzero(begins), np.cumsum(begins) - 1


def _first_reaching(waited: Indices) -> Indices:
    """Return for every number of checks from 0 to K + 1 the first place at which as many were waited, else K.

    Args:
        waited: shape (K, D).
    """
    size, columns = waited.shape
    most = np.maximum.accumulate(waited, axis=0)
    rises = np.vstack([most[:1] > 0, most[1:] > most[:-1]])
    first = np.full((size + 2, columns), size, np.int32)
    checks, column = np.nonzero(rises)
    first[most[checks, column], column] = checks
    return np.minimum.accumulate(first[::-1], axis=0)[::-1]


def _latest(marks: NDArray[np.bool_], checks: Indices) -> Indices:
    """Return the latest mark at each check, -1 before the first."""
    return np.maximum.accumulate(np.where(marks, checks, np.int32(-1)), axis=0)


def _records(values: NDArray[Any]) -> NDArray[np.intp]:
    """Return the places of the values below all before them."""
    lowest = np.fmin.accumulate(np.concatenate([[np.array(np.inf, values.dtype)], values]))
    return np.flatnonzero(values < lowest[:-1])


def best_so_far(trajectory: Trajectory, mode: str) -> Indices:
    """Return at each check the number of the one kept by then, `NONE` before the first and where it is infinite.

    It is the strict optimum, unless `kept_min_delta` asks for more than that.

    An infinity that is the optimum leaves a run without a best: it is no score to keep weights for.
    """
    best = np.full(trajectory.values.size, NONE, np.int32)
    values = trajectory.signed(mode)
    records = _records(values)
    if trajectory.kept_min_delta:
        kept, _ = _improvements(values, _in_precision([trajectory.kept_min_delta], trajectory.precision), None)
        records = np.flatnonzero(kept[:, 0])
    best[records] = records
    best = np.maximum.accumulate(best)
    is_score = np.append(np.isfinite(trajectory.values), False)[best]
    return np.where(is_score, best, np.int32(NONE))


def whole_best(trajectory: Trajectory, mode: str) -> int | None:
    """Return the number of the best check of a whole history, None without a finite one.

    What came before an infinity that is the optimum counts: policies that stop before it have kept it.
    """
    return last_kept(best_so_far(trajectory, mode))


def _in_precision(numbers: Any, precision: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return np.asarray(numbers, dtype=np.float64).astype(precision)


def _signed(number: float, mode: str, precision: np.dtype[Any]) -> NDArray[Any]:
    return _in_precision(number if mode == "min" else -number, precision)


def _code(reason: StopReason) -> int:
    return list(StopReason).index(reason)


def _parts(deltas: int, rows: int) -> list[slice]:
    step = max(1, _CELLS_AT_A_TIME // rows)
    return [slice(begin, begin + step) for begin in range(0, deltas, step)]
