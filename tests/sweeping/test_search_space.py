"""What Hydra's sweep syntax means to a search."""

from __future__ import annotations

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from keepbest.errors import ConfigError
from keepbest.sweeping.search_space import read_space
from keepbest.sweeping.settings import SearchSettings, search_settings, sweep_settings

SEARCHED = {
    "x=1,2": CategoricalDistribution((1, 2)),
    "x=a,b": CategoricalDistribution(("a", "b")),
    "x=true,null": CategoricalDistribution((True, "null")),
    "x=choice([16],[16,32])": CategoricalDistribution(("[16]", "[16,32]")),
    "x=shuffle(3,1,2)": CategoricalDistribution((3, 1, 2)),
    "group/of=simple,complex": CategoricalDistribution(("simple", "complex")),
    "+x=1,2": CategoricalDistribution((1, 2)),
    "x=range(1,10)": IntDistribution(1, 9),
    "x=range(2,11,4)": IntDistribution(2, 10, step=4),
    "x=range(10,1,-3)": IntDistribution(4, 10, step=3),
    "x=range(5)": IntDistribution(0, 4),
    "x=range(0,0.5,0.1)": FloatDistribution(0.0, 0.4, step=0.1),
    "x=tag(log,range(1,100))": IntDistribution(1, 99, log=True),
    "x=interval(1,8)": FloatDistribution(1.0, 8.0),
    "x=int(interval(1,8))": IntDistribution(1, 8),
    "x=tag(log,interval(1e-4,1e-1))": FloatDistribution(1e-4, 1e-1, log=True),
    "x=tag(log,int(interval(1,512)))": IntDistribution(1, 512, log=True),
}
REFUSED = {
    "x=3": "a search needs a parameter to vary",
    "x=choice(1,1.0)": "x: the values to choose from must differ",
    "x=tag(log,choice(1,2))": "x: a choice has no scale",
    "x=tag(often,interval(1,2))": "x: log is the only tag that a search knows",
    "x=tag(log,interval(0,1))": "x: a logarithmic scale begins above 0",
    "x=interval(2,1)": "x: the bounds must be finite, the lower one first",
    "x=interval(0,inf)": "x: the bounds must be finite",
    "x=range(3,3)": "x: a range must not be empty",
    "x=range(1,9,0)": "x: the step of a range must not be 0",
    "x=tag(log,range(1,9,2))": "x: a range on a logarithmic scale has a step of 1",
    "x=tag(log,range(1,2,0.5))": "x: a range on a logarithmic scale is one of whole numbers",
    "objective=val_loss,val_acc": "objective: the trials of a search are compared by one objective",
}


def parsed(*texts):
    return OverridesParser.create().parse_overrides(list(texts))


def asked(space, seed=0, trials=1):
    """Ask a study of its own for trials; give their overrides and the last trial."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    overrides = []
    for _ in range(trials):
        trial = study.ask()
        overrides.append(space.overrides(trial))
    return overrides, trial


@pytest.mark.parametrize("text", SEARCHED)
def test_a_sweep_is_searched_as(text):
    space = read_space(parsed(text))
    _, trial = asked(space)
    key = text.partition("=")[0]
    assert trial.distributions == {key: SEARCHED[text]}
    (parameter,) = space.parameters
    assert parameter.in_words()


@pytest.mark.parametrize("text", [text for text in SEARCHED if "interval" not in text])
def test_what_is_asked_for_is_what_hydras_own_sweep_has(text):
    """Beside intervals, which it does not know: the same texts, so that a job of a grid is the same job in a search."""
    (override,) = parsed(text)
    known = {f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()}
    overrides, _ = asked(read_space([override]), trials=60)
    found = {text for (text,) in overrides}
    assert found <= known
    assert len(found) > min(len(known), 5) - 1


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_searched_is_refused(text):
    with pytest.raises(ConfigError, match=REFUSED[text]):
        read_space(parsed(text))


def test_fixed_overrides_stay_and_the_last_one_for_a_key_counts():
    space = read_space(parsed("a=1,2", "b=range(1,5)", "c='x, y'", "~d", "b=3"))
    (overrides,), _ = asked(space)
    assert overrides[1:] == ["b=3", "c='x, y'", "~d"]
    assert overrides[0] in ("a=1", "a=2")
    assert space.example() == ["a=1", "b=3", "c='x, y'", "~d"]
    assert space.fixed == ["b=3", "c='x, y'", "~d"]


def test_a_value_is_written_so_that_hydra_reads_it_back():
    space = read_space(parsed(r"a=choice('x, y',z\,z,[1,2],{k: v})"))
    overrides, _ = asked(space, trials=40)
    read = {repr(override.value()) for (text,) in overrides for override in parsed(text)}
    assert read == {"'x, y'", "'z,z'", "[1, 2]", "{'k': 'v'}"}


def test_a_grid_lists_all_values_or_refuses():
    assert read_space(parsed("a=range(1,4)", "b=x,y")).grid() == {"a": [1, 2, 3], "b": ["x", "y"]}
    with pytest.raises(ConfigError, match=r"b: a grid needs parameters whose values can be listed, got '0\.0 to 1\.0'"):
        read_space(parsed("a=1,2", "b=interval(0,1)")).grid()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_trials": 0}, "hydra.sweeper.n_trials: it must be at least 1, got 0"),
        ({"n_jobs": -1}, "hydra.sweeper.n_jobs: it must be at least 1, got -1"),
        ({"max_failure_rate": 1.5}, "hydra.sweeper.max_failure_rate: it must be from 0 to 1, got 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SearchSettings(**settings)


def test_the_direction_is_that_of_the_objective():
    SearchSettings().require_direction("max")
    SearchSettings(direction="maximize").require_direction("max")
    with pytest.raises(ConfigError, match="whose mode is min: minimize, got 'maximize'"):
        SearchSettings(direction="maximize").require_direction("min")


def test_each_kind_of_settings_gets_its_own():
    settings = {"share": False, "n_trials": 3, "sampler": {}}
    assert sweep_settings(settings).share is False
    search = search_settings(settings)
    assert search is not None
    assert search.n_trials == 3
    assert search_settings({"share": False}) is None
