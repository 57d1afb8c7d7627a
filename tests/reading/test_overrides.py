"""The overrides of a sweep's jobs: typed as Hydra types them, named as short as can be."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keepbest.reading.overrides import overrides_of, short_names, value_of, varying
from keepbest.records.run_record import RunStatus
from keepbest.records.sweep_record import SweepJob


def job(number: int, *overrides: str) -> SweepJob:
    return SweepJob(number, str(number), list(overrides), "", None, None, RunStatus.PENDING)


VALUES = {
    "2": 2, "-3": -3, "+3": 3, "1_000": 1000, "0.5": 0.5, "1e-3": 0.001, "1E3": 1000.0, "1.": 1.0, ".5": 0.5,
    "true": True, "False": False, "null": None, "mlp": "mlp", "'2'": "2", '"a b"': "a b", "": "", "01": "01",
    "inf": math.inf, "[1,2]": "[1,2]", "{a:1}": "{a:1}", "0x10": "0x10", "1e": "1e", "1e400": math.inf,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_a_value_has_the_type_that_hydra_gives_it(text, value):
    found = value_of(text)
    assert (found, type(found)) == (value, type(value))


PRIMITIVES = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.floats().map("{:.3E}".format),
    st.from_regex(r"[+-]?[0-9_]{0,4}\.?[0-9_]{0,3}([eE][+-]?[0-9_]{1,3})?", fullmatch=True),
    st.sampled_from(["true", "TRUE", "nUll", "nan", "-Inf", "False"]),
    st.from_regex(r"['\"]?[a-zA-Z_0-9./ -]{0,8}['\"]?", fullmatch=True),
)


@given(text=PRIMITIVES)
@example("1__0")
@example("1_0.5_0e-1_0")
@example("00")
def test_it_agrees_with_hydras_own_parser_on_whatever_that_takes_for_one_value(text):
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        (override,) = OverridesParser.create().parse_overrides([f"key={text}"])
        expected = override.value()
    except HydraException:
        return
    if expected is None or isinstance(expected, (str, int, float)):
        found = value_of(text)
        assert type(found) is type(expected)
        assert found == expected or (found != found and expected != expected)


def test_a_number_that_is_too_long_to_read_is_a_text():
    assert value_of("9" * 5000) == "9" * 5000


def test_short_names_are_those_that_tell_apart():
    keys = ["callbacks.early_stopping.patience", "model.optimizer.lr", "model/optimizer", "model.scheduler.patience"]
    assert short_names(keys) == [keys[0], "lr", "optimizer", keys[3]]
    assert short_names(["a.score", "b.lr"], taken=("score",)) == ["a.score", "lr"]
    assert short_names([]) == []
    kinds = ["model.optimizer._target_", "model.scheduler._target_", "data.scheduler._target_"]
    assert short_names(kinds) == ["optimizer._target_", kinds[1], kinds[2]]


def test_varying_keys_are_those_in_which_jobs_differ():
    assert varying([job(0, "seed=1", "model=cnn"), job(1, "seed=2", "model=cnn")]) == ["seed"]
    assert varying([job(0, "seed=1"), job(1)]) == ["seed"]
    assert varying([job(0, "+a.b=1", "++c=1", "~d"), job(1, "+a.b=2", "++c=2")]) == ["a.b", "c", "d"]
    assert varying([job(0, "seed=1")]) == []
    assert varying([]) == []
    assert overrides_of(job(0, "+a.b=1=2", "~d")) == {"a.b": "1=2", "d": ""}
