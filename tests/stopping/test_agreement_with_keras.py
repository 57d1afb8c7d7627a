"""Settings that Keras's EarlyStopping has too mean the same, check for check; each difference is an example below."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keepbest.checkpoints.best_weights import BestWeights
from keepbest.stopping.policy import StoppingPolicy
from keepbest.stopping.reasons import StopReason

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("keras") is None, reason="keras is missing: 3.15 needs Python 3.11"
)

INF, NAN = math.inf, math.nan


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The real Keras, on torch; imported late, because that takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))  # where it leaves a settings file
        keras = importlib.import_module("keras")
    assert keras.backend.backend() == "torch"
    return keras


@pytest.fixture(scope="module")
def model(keras: Any) -> Any:
    """A model with one weight, for the callback to stop, copy and restore."""
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])


class Check(NamedTuple):
    """What is known after a check."""

    stop: bool
    wait: int
    best: float | None
    best_epoch: int | None


def watch_of_keras(keras: Any, model: Any, policy: StoppingPolicy, checks: list[tuple[float, int]]) -> list[Check]:
    """Hand values and epochs to Keras's callback through its own hooks until it stops."""
    shared = ("mode", "patience", "min_delta", "baseline", "start_from_epoch")
    callback = keras.callbacks.EarlyStopping("val", **{name: getattr(policy, name) for name in shared})
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin()
    seen: list[Check] = []
    for value, epoch in checks:
        callback.on_epoch_end(epoch, {"val": value})
        best_epoch = None if callback.best is None else callback.best_epoch
        seen.append(Check(model.stop_training, callback.wait, callback.best, best_epoch))
        if model.stop_training:
            assert callback.stopped_epoch == epoch
            break
    return seen


def watch(policy: StoppingPolicy, checks: list[tuple[float, int]]) -> list[Check]:
    state = policy.start()
    seen: list[Check] = []
    for value, epoch in checks:
        stop = state.update(value, epoch).stop
        seen.append(Check(stop, state.wait, state.best, state.best_epoch))
        if stop:
            assert state.stopped_epoch == epoch
            break
    return seen


def by_epoch(values: list[float]) -> list[tuple[float, int]]:
    return [(value, epoch) for epoch, value in enumerate(values)]


# Keras adds min_delta in double precision and compares in float32, the policy does both in float32, as Lightning does.
# Of numbers that float32 has, both give the same bits: their sum in double precision is rounded once more, which never
# changes the result (53 bits are more than twice 24 and 2). Keras logs such numbers.
FINITE = st.one_of(
    st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0]),
    st.sampled_from([0.1, 0.2, 0.3, 0.8, 0.9]).map(np.float32).map(float),
    st.floats(-4, 4, width=32),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
POLICIES = st.builds(
    StoppingPolicy,
    mode=st.sampled_from(["min", "max"]),
    patience=st.integers(0, 5),
    min_delta=st.one_of(st.sampled_from([0.0, 0.25, 0.5, float(np.float32(0.1))]), st.floats(0, 2, width=32)),
    baseline=st.one_of(st.none(), FINITE),
    start_from_epoch=st.integers(0, 5),
)


@settings(max_examples=300, deadline=None)
@given(policy=POLICIES, values=st.lists(FINITE, max_size=15))
@example(policy=StoppingPolicy(patience=0), values=[2.0, 1.0, 1.0])
@example(policy=StoppingPolicy(patience=0), values=[1.0, 2.0, 0.0])
@example(policy=StoppingPolicy(patience=0, baseline=0.0), values=[1.0, 0.5, 0.5])
@example(policy=StoppingPolicy(patience=1, baseline=0.0, start_from_epoch=1), values=[9.0, 1.0, 0.5, 0.5])
def test_any_finite_series_stops_at_the_same_check_with_the_same_best(
    keras: Any, model: Any, policy: StoppingPolicy, values: list[float]
) -> None:
    assert watch(policy, by_epoch(values)) == watch_of_keras(keras, model, policy, by_epoch(values))


class Difference(NamedTuple):
    """A series of which the two think differently: what each knows after each check."""

    policy: StoppingPolicy
    checks: list[tuple[float, int]]
    keras: list[Check]
    ours: list[Check]


UNCHECKED = StoppingPolicy(patience=2, check_finite=False)
ROUNDED = float(np.float32(1.0000001)), float(np.float32(3e-8))
DIFFERENCES = {
    # Its special case for epoch 0 is never reached by one check per epoch: the first one always counts as improvement.
    "Keras never stops in epoch 0, however many checks it has": Difference(
        StoppingPolicy(patience=1), [(1.0, 0), (2.0, 0)],
        keras=[Check(False, 0, 1.0, 0), Check(False, 1, 1.0, 0)],
        ours=[Check(False, 0, 1.0, 0), Check(True, 1, 1.0, 0)],
    ),
    "Keras takes a NaN for its first best, and nothing is better than that": Difference(
        UNCHECKED, by_epoch([NAN, 3.0, 2.0]),
        keras=[Check(False, 0, NAN, 0), Check(False, 1, NAN, 0), Check(True, 2, NAN, 0)],
        ours=[Check(False, 1, None, None), Check(False, 0, 3.0, 1), Check(False, 0, 2.0, 2)],
    ),
    "so a NaN in epoch 0 costs it no patience": Difference(
        dataclasses.replace(UNCHECKED, patience=0), by_epoch([NAN, 1.0]),
        keras=[Check(False, 0, NAN, 0), Check(True, 1, NAN, 0)],
        ours=[Check(True, 1, None, None)],
    ),
    "the worst infinity is its first best too": Difference(
        UNCHECKED, by_epoch([INF, INF]),
        keras=[Check(False, 0, INF, 0), Check(False, 1, INF, 0)],
        ours=[Check(False, 1, None, None), Check(True, 2, None, None)],
    ),
    "Keras has no check_finite: a NaN is a check without improvement": Difference(
        StoppingPolicy(patience=2), by_epoch([2.0, NAN, 1.0]),
        keras=[Check(False, 0, 2.0, 0), Check(False, 1, 2.0, 0), Check(False, 0, 1.0, 2)],
        ours=[Check(False, 0, 2.0, 0), Check(True, 0, 2.0, 0)],
    ),
    "Keras adds a min_delta that is no number of float32 in double precision": Difference(
        StoppingPolicy(patience=2, min_delta=1.00000003), by_epoch([*ROUNDED]),
        keras=[Check(False, 0, ROUNDED[0], 0), Check(False, 1, ROUNDED[0], 0)],
        ours=[Check(False, 0, ROUNDED[0], 0), Check(False, 0, ROUNDED[1], 1)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("difference", DIFFERENCES.values(), ids=DIFFERENCES)
def test_each_difference_is_this_one(keras: Any, model: Any, difference: Difference) -> None:
    """Compared as texts, because NaN is not NaN."""
    found = watch_of_keras(keras, model, difference.policy, difference.checks)
    assert repr(found) == repr(difference.keras)
    assert repr(watch(difference.policy, difference.checks)) == repr(difference.ours)


def test_unchecked_a_nan_after_the_first_value_is_a_check_without_improvement_to_both(keras: Any, model: Any) -> None:
    values = [3.0, NAN, 2.0, NAN, 2.5]
    assert watch(UNCHECKED, by_epoch(values)) == watch_of_keras(keras, model, UNCHECKED, by_epoch(values))


def test_keras_keeps_the_weights_of_a_first_nan_and_keepbest_keeps_none(keras: Any, model: Any) -> None:
    callback = keras.callbacks.EarlyStopping("val", mode="min", patience=9, restore_best_weights=True)
    callback.set_model(model)
    callback.on_train_begin()
    module = torch.nn.Linear(1, 1)
    best = BestWeights(module)
    for epoch in range(2):
        model.set_weights([np.full((1, 1), epoch + 1.0)])
        callback.on_epoch_end(epoch, {"val": NAN})
        best.offer(NAN, epoch)
    callback.on_train_end()
    assert model.get_weights()[0].item() == 1, "of epoch 0"
    assert not best.restore()


@pytest.mark.parametrize(("settings", "kept"), [({"patience": 2}, 3), ({"patience": 9, "baseline": 0.05}, 3)])
def test_a_real_fit_of_keras_stops_where_the_policy_stops_and_restores_what_it_calls_the_best(
    keras: Any, model: Any, settings: dict[str, Any], kept: int
) -> None:
    """Trained on y = 2x and validated on y = x, the weight passes its best on the way from 0 to 2."""
    x = np.ones((8, 1), "float32")
    model.set_weights([np.zeros((1, 1))])
    model.compile(keras.optimizers.SGD(0.08), loss="mse")
    stopping = keras.callbacks.EarlyStopping("val_loss", mode="min", restore_best_weights=True, **settings)
    weights: list[float] = []
    noting = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()[0].item())
    )
    fit = {"epochs": 20, "batch_size": 8, "shuffle": False, "verbose": 0}
    history = model.fit(x, 2 * x, validation_data=(x, x), callbacks=[noting, stopping], **fit).history["val_loss"]

    state = StoppingPolicy(**settings).start()
    stop = next(epoch for epoch, value in enumerate(history) if state.update(value, epoch).stop)
    assert stop == stopping.stopped_epoch == len(history) - 1 < 19
    assert state.reason is StopReason.PATIENCE_EXHAUSTED
    assert state.best_epoch == stopping.best_epoch == kept
    assert state.best == stopping.best == min(history)
    assert model.get_weights()[0].item() == weights[state.best_epoch] != weights[-1]
    assert model.evaluate(x, x, verbose=0) == state.best
