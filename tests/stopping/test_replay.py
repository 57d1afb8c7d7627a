"""Replay equals the stopping policy, watching check by check: for every policy of a grid and every history."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keepbest.errors import ConfigError
from keepbest.stopping.comparison import is_better
from keepbest.stopping.outcomes import NONE, Outcomes
from keepbest.stopping.policy import StoppingPolicy
from keepbest.stopping.policy_grid import policy_grid
from keepbest.stopping.reasons import StopReason
from keepbest.stopping.replay import replay_policies
from keepbest.stopping.trajectory import Trajectory, trajectory_of

NAN, INF = math.nan, math.inf
CLOSE = [float(np.float32(number)) for number in (0.5, 0.49999997, 0.50000006, 0.4, 0.40000004, 0.6, 0.1)]
VALUE = st.one_of(
    st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, NAN, INF, -INF, 3e38, -3e38, 1e39, -1e39, 1e-45]),
    st.sampled_from(CLOSE),
    st.floats(-3, 3, width=32),
    st.floats(-3, 3),
)
DELTA = st.one_of(
    st.sampled_from([0.0, 1e-9, 1e-8, 3e-8, 1e-4, 0.1, 0.25, 0.5, 3.0, 1e38, 1e300]), st.floats(0, 1, allow_nan=False)
)
LEVEL = st.sampled_from([None, -1, 0.1, 0.25, 0.4, 0.5, 0.6, 1.0, 1.75, 1e39, -1e39])
KINDS = {
    "python": list,
    "float16": lambda values: np.array(values, np.float16),
    "float32": lambda values: np.array(values, np.float32),
    "float64": lambda values: np.array(values, np.float64),
}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    """Values and the epochs of their checks: some epochs have several checks, some none."""
    steps = draw(st.lists(st.tuples(VALUE, st.sampled_from([0, 1, 1, 1, 2])), min_size=1, max_size=25))
    epochs = list(itertools.accumulate((step for _, step in steps[:-1]), initial=draw(st.integers(0, 2))))
    return [value for value, _ in steps], epochs


@st.composite
def common(draw: st.DrawFn) -> StoppingPolicy:
    mode = draw(st.sampled_from(["min", "max"]))
    good, bad = draw(LEVEL), draw(LEVEL)
    if good is not None and bad is not None and not is_better(good, bad, mode):
        good = None
    return StoppingPolicy(
        mode=mode,
        stopping_threshold=good,
        divergence_threshold=bad,
        check_finite=draw(st.booleans()),
        min_epochs=draw(st.integers(0, 8)),
    )


def step_by_step(
    policy: StoppingPolicy, values: Any, epochs: list[int], may_stop: list[bool], kept_min_delta: float = 0.0
) -> tuple[int, StopReason | None, int, int]:
    """Return the last check that the policy sees, why, the check that is kept and the one it accepted last."""
    state, best, best_check, accepted = policy.start(), None, NONE, NONE
    for number, (value, epoch) in enumerate(zip(values, epochs, strict=True)):
        decision = state.update(value, epoch, may_stop=may_stop[number])
        if is_better(value, best, policy.mode, kept_min_delta):
            best, best_check = float(value), number if math.isfinite(value) else NONE
        if decision.improved:
            accepted = number
        if decision.stop:
            return number, decision.reason, best_check, accepted
    return NONE, None, NONE, accepted


@settings(max_examples=400, deadline=None)
@given(
    history=histories(),
    kind=st.sampled_from(sorted(KINDS)),
    common=common(),
    patience=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    min_delta=st.lists(DELTA, min_size=1, max_size=5),
    baseline=st.lists(LEVEL, min_size=1, max_size=2),
    start=st.lists(st.integers(0, 5), min_size=1, max_size=2),
    data=st.data(),
    kept=DELTA,
)
@example(
    # the accepted check that does not beat the baseline is waited for, but is no stop
    history=([1.0, 0.9, 0.8, 0.85], [0, 1, 2, 3]),
    kind="python",
    common=StoppingPolicy(),
    patience=[1, 2, 3],
    min_delta=[0.0],
    baseline=[0.5],
    start=[0],
    data=None,
    kept=0.0,
)
@example(
    # a value that equals the baseline does not beat it
    history=([0.5, 0.6, 0.7], [0, 1, 2]),
    kind="python",
    common=StoppingPolicy(),
    patience=[1, 2, 3],
    min_delta=[0.0],
    baseline=[0.5],
    start=[0],
    data=None,
    kept=0.0,
)
def test_every_policy_of_a_grid_does_what_it_does_check_by_check(
    history, kind, common, patience, min_delta, baseline, start, data, kept
):
    numbers, epochs = history
    with np.errstate(over="ignore"):
        values = KINDS[kind](numbers)
    may_stop = data.draw(st.lists(st.booleans(), min_size=len(epochs), max_size=len(epochs))) if data else [True] * 9
    may_stop = may_stop[: len(epochs)]
    grid = policy_grid(common, patience, min_delta, baseline, start)
    trajectory = trajectory_of(values, epochs, may_stop=np.array(may_stop), kept_min_delta=kept)
    found = replay_policies(trajectory, grid)
    codes = [*StopReason, None]
    with np.errstate(invalid="ignore"):
        for number in range(grid.size):
            last, reason, best, accepted = step_by_step(grid.policy(number), values, epochs, may_stop, kept)
            assert (
                found.last_check.flat[number],
                codes[found.reason.flat[number]],
                found.best_check.flat[number],
                found.policy_best_check.flat[number],
            ) == (last, reason, best, accepted), grid.policy(number)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["min", "max"]), st.booleans())
def test_long_histories_and_many_policies(seed: int, mode: str, is_noisy: bool) -> None:
    random = np.random.default_rng(seed)
    curve = np.exp(-np.arange(300) / 80) + random.normal(0, 0.02 if is_noisy else 0, 300)
    values = (curve if mode == "min" else -curve).astype(np.float32)
    grid = policy_grid(StoppingPolicy(mode=mode), range(1, 60, 7), np.linspace(0, 0.1, 40))
    found = replay_policies(trajectory_of(values), grid)
    epochs, may_stop = list(range(300)), [True] * 300
    for number in random.choice(grid.size, 12, replace=False):
        last, _, best, accepted = step_by_step(grid.policy(number), values, epochs, may_stop)
        assert (found.last_check.flat[number], found.policy_best_check.flat[number]) == (last, accepted)
        assert found.best_check.flat[number] == best


def test_the_parts_of_a_large_grid_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=40)
    grid = policy_grid(StoppingPolicy(), range(1, 9), np.linspace(0, 1, 30), [None, 0.2], [0, 3])
    whole = replay_policies(trajectory_of(values), grid)
    monkeypatch.setattr("keepbest.stopping.replay._CELLS_AT_A_TIME", 7 * 40)
    parts = replay_policies(trajectory_of(values), grid)
    assert whole.last_check.tolist() == parts.last_check.tolist()
    assert whole.policy_best_check.tolist() == parts.policy_best_check.tolist()


VALUES = [1.0, 0.5, 0.6, 0.4, 0.7, 0.7, 0.3, 0.9]  # best so far: 1.0 0.5 0.5 0.4 0.4 0.4 0.3 0.3


def outcomes(patience: list[int], min_delta: object = 0.0, **facts: Any) -> Outcomes:
    return replay_policies(trajectory_of(VALUES, **facts), policy_grid(StoppingPolicy(), patience, min_delta))


def test_the_numbers_of_a_history_by_hand() -> None:
    found = outcomes([1, 2, 3])
    assert found.stopped_epoch.ravel().tolist()[:2] == [2, 5]
    assert found.epochs.ravel().tolist()[:2] == [3, 6]
    assert found.checks.ravel().tolist()[:2] == [3, 6]
    assert found.epochs_saved.ravel().tolist()[:2] == [5, 2]
    assert found.best_epoch.ravel().tolist()[:2] == [1, 3]
    assert found.score.ravel().tolist()[:2] == [0.5, 0.4]
    assert found.regret.ravel()[:2] == pytest.approx([0.2, 0.1])
    assert found.reasons().tolist() == ["patience_exhausted", "patience_exhausted", None]


def test_a_policy_that_the_history_does_not_outlast_is_censored_and_nothing_is_said_of_it() -> None:
    found = outcomes([3])
    assert found.censored.all()
    for name in ("stopped_epoch", "checks", "epochs", "epochs_saved", "best_epoch", "score", "regret", "policy_best"):
        assert np.isnan(getattr(found, name)).all(), name


def test_the_limit_of_the_training_ends_it_for_every_policy() -> None:
    found = outcomes([1, 3], limit=StopReason.MAX_EPOCHS, trained_epochs=9)
    assert not found.censored.any()
    assert found.reasons().tolist() == ["patience_exhausted", "max_epochs"]
    assert found.epochs.ravel().tolist() == [3, 9]
    assert np.isnan(found.stopped_epoch.ravel()[1]), "as in run.json: the policy did not stop it"
    assert found.score.ravel().tolist() == [0.5, 0.3]


def test_a_stop_at_the_last_check_is_a_stop() -> None:
    found = replay_policies(trajectory_of([1.0, 2.0, 3.0]), policy_grid(StoppingPolicy(), [2, 3], 0))
    assert found.censored.ravel().tolist() == [False, True]


def test_the_best_is_the_strict_optimum_and_not_the_last_accepted_value() -> None:
    found = replay_policies(trajectory_of([1.0, 0.95, 1.1, 1.2]), policy_grid(StoppingPolicy(), 3, 0.1))
    assert (found.score.item(), found.policy_best.item()) == (0.95, 1.0)


REGRETS = {
    "nothing kept": ([NAN, 0.5], {}, INF),
    "nothing to keep": ([NAN, NAN], {}, NAN),
    "an infinity is the best": ([1.0, -INF, 1.0, 1.0], {"check_finite": False}, INF),
    "an infinity comes after": ([1.0, 2.0, 0.5, -INF], {}, 0.5),
    "an infinity before the best": ([INF, 2.0, 1.0], {"check_finite": False}, INF),
    "higher is better": ([0.5, 0.4, 0.8], {"mode": "max"}, pytest.approx(0.3)),
}


@pytest.mark.parametrize(("values", "facts", "regret"), REGRETS.values(), ids=REGRETS)
def test_regret_where_it_is_not_a_mere_difference(values: list[float], facts: dict[str, Any], regret: float) -> None:
    found = replay_policies(trajectory_of(values), policy_grid(StoppingPolicy(**facts), 1, 0.0)).regret.item()
    assert found == regret or (math.isnan(found) and math.isnan(regret))


AXES_REFUSED = {
    "patience": ([-1, 2.5, "3", True, [], [1, -1], [2, True], None, np.array([[1]])], "patience must"),
    "min_delta": ([-0.1, NAN, "x", [0, INF], True, None], "min_delta must"),
    "baseline": (["x", NAN, [None, INF], []], "baseline must"),
    "start_from_epoch": ([-1, 1.5, None, []], "start_from_epoch must"),
}


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [(name, value, match) for name, (values, match) in AXES_REFUSED.items() for value in values],
)
def test_settings_that_the_policy_refuses_are_refused_in_a_grid(name: str, value: object, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        policy_grid(StoppingPolicy(), **{"patience": 1, "min_delta": 0.0, name: value})  # type: ignore[arg-type]


SERIES_REFUSED = {
    "none": [],
    "text": "val_loss",
    "a table": [[1.0, 2.0], [3.0, 4.0]],
    "lengths": [[1.0], [1.0, 2.0]],
    "objects": [None],
}


@pytest.mark.parametrize("values", SERIES_REFUSED.values(), ids=SERIES_REFUSED)
def test_what_is_no_series_of_numbers_is_refused(values: object) -> None:
    with pytest.raises(ConfigError, match="a history must be a series"):
        trajectory_of(values)


def test_epochs_that_go_back_are_refused() -> None:
    with pytest.raises(ConfigError, match="never go back"):
        Trajectory(np.ones(2), np.dtype(np.float32), np.array([1, 0]))
