"""The defaults of this machine, and the options that lead to another config."""

from __future__ import annotations

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from keepbest.composition.defaults import config_of_choices, default_config
from keepbest.errors import ConfigError


def test_the_defaults_are_what_a_launch_composes(compose_config):
    assert default_config() == compose_config([])


def test_the_fewest_options_that_lead_to_all(compose_config):
    choices = {
        "model": "cnn", "model/optimizer": "sgd", "model/scheduler": "none", "data": "digits", "experiment": None,
        "sweep": "seeds", "hydra/launcher": "joblib",
    }  # fmt: skip
    config, overrides = config_of_choices(choices)
    assert overrides == ["model=cnn", "model/optimizer=sgd"]
    assert config == compose_config(overrides)


def test_an_experiment_stands_for_the_options_that_it_brings_about(compose_config):
    config, overrides = config_of_choices({"model": "cnn", "experiment": "digits_cnn"})
    assert overrides == ["experiment=digits_cnn"]
    assert config == compose_config(overrides)


@pytest.mark.parametrize(
    "option", ["nope", "../mlp", "/etc/passwd", "a,b", "${oc.env:HOME}", "'mlp'", "glob(*)", "-x", ""]
)
def test_what_is_no_option_is_refused(option):
    with pytest.raises(ConfigError, match=r"must be one of|is no option of a group"):
        config_of_choices({"model": option})


def test_users_files_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("_target_: mine.Model\nname: ${hydra:job.name}\n")
    config, overrides = config_of_choices({"model": "mine"})
    assert overrides == ["model=mine"]
    assert config["model"] == {"_target_": "mine.Model", "name": "train"}


def test_hydra_is_left_as_it_was():
    before = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    default_config()
    with pytest.raises(ConfigError):
        config_of_choices({"model": "nope"})
    assert (GlobalHydra.instance().hydra, HydraConfig.instance().cfg) == before
