"""What holds for every policy and every series of values."""

from __future__ import annotations

import dataclasses
import json
import math

from hypothesis import given
from hypothesis import strategies as st

from keepbest.stopping.policy import StoppingPolicy

# few different values, so that ties, thresholds and exact min_deltas occur
VALUE = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, math.nan, math.inf, -math.inf]), st.floats(-3, 3, width=32)
)


@st.composite
def policies(draw: st.DrawFn) -> StoppingPolicy:
    mode = draw(st.sampled_from(["min", "max"]))
    low, high = sorted(
        draw(st.lists(st.sampled_from([-1.0, 0.25, 0.5, 1.0, 1.75]), min_size=2, max_size=2, unique=True))
    )
    good, bad = (low, high) if mode == "min" else (high, low)
    return StoppingPolicy(
        mode=mode,
        patience=draw(st.integers(0, 6)),
        min_delta=draw(st.sampled_from([0.0, 0.25, 1e-3])),
        baseline=draw(st.sampled_from([None, 0.5, 1.0])),
        start_from_epoch=draw(st.integers(0, 4)),
        stopping_threshold=draw(st.sampled_from([None, good])),
        divergence_threshold=draw(st.sampled_from([None, bad])),
        check_finite=draw(st.booleans()),
        min_epochs=draw(st.integers(0, 8)),
    )


@st.composite
def series(draw: st.DrawFn) -> list[tuple[float, int]]:
    """Values with the epochs of their checks: some epochs have several checks, some none."""
    steps = draw(st.lists(st.tuples(VALUE, st.sampled_from([0, 1, 1, 1, 2])), max_size=25))
    epoch, checks = 0, []
    for value, step in steps:
        checks.append((value, epoch))
        epoch += step
    return checks


def stop_of(policy: StoppingPolicy, checks: list[tuple[float, int]]) -> int | None:
    """Return the number of the check at which a policy stops."""
    state = policy.start()
    return next((number for number, check in enumerate(checks) if state.update(*check).stop), None)


@given(policies(), series(), st.integers(1, 5))
def test_more_patience_never_stops_earlier(policy: StoppingPolicy, checks: list[tuple[float, int]], more: int) -> None:
    stop = stop_of(policy, checks)
    later = stop_of(dataclasses.replace(policy, patience=policy.patience + more), checks)
    assert later is None or (stop is not None and stop <= later)


@given(policies(), series(), st.integers(1, 5))
def test_more_min_epochs_never_stop_earlier(policy: StoppingPolicy, checks: list[tuple[float, int]], more: int) -> None:
    stop = stop_of(policy, checks)
    later = stop_of(dataclasses.replace(policy, min_epochs=policy.min_epochs + more), checks)
    assert later is None or (stop is not None and stop <= later)


@given(policies(), series())
def test_a_stop_has_a_reason_and_nothing_else_has(policy: StoppingPolicy, checks: list[tuple[float, int]]) -> None:
    state = policy.start()
    for value, epoch in checks:
        decision = state.update(value, epoch)
        assert decision.stop == (decision.reason is not None)
        assert not (decision.stop and decision.improved)
        assert decision.stop <= (epoch + 1 >= policy.min_epochs and epoch >= policy.start_from_epoch)


@given(policies(), series(), st.data())
def test_a_state_that_was_saved_at_any_point_goes_on_as_if_nothing_had_happened(
    policy: StoppingPolicy, checks: list[tuple[float, int]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(checks)))
    unbroken, before = policy.start(), policy.start()
    for check in checks[:cut]:
        unbroken.update(*check)
        before.update(*check)
    resumed = policy.start()
    resumed.load_state_dict(json.loads(json.dumps(before.state_dict())))  # plain data, whatever stores it
    assert repr(resumed.state_dict()) == repr(unbroken.state_dict()), "as texts, because NaN is not NaN"
    for check in checks[cut:]:
        assert resumed.update(*check) == unbroken.update(*check)
    assert repr(resumed.state_dict()) == repr(unbroken.state_dict()), "as texts, because NaN is not NaN"
    assert resumed.reason is unbroken.reason
