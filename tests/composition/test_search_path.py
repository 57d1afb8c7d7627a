"""A user's conf/ adds to keepbest's and overrides it, in keepbest's own commands and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig

from keepbest.composition.search_path import UserConf, conf_dir, user_conf_first


@pytest.fixture
def user_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a user who has a conf/."""
    for name, text in {
        "model/mine.yaml": "_target_: mine.Model",
        "trainer/cpu.yaml": "_target_: mine.Trainer",
        "objective/val_loss.yaml": "monitor: mine\nmode: max",
    }.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("train", list(overrides))


def registered() -> list[type]:
    return list(Plugins.instance().discover(SearchPathPlugin))


def test_keepbests_own_configs_are_found() -> None:
    assert (conf_dir() / "train.yaml").is_file()


def test_a_users_files_add_and_override_by_name(user_dir: Path) -> None:
    with user_conf_first():
        config = composed("model=mine", "trainer=cpu")
        assert config.model == {"_target_": "mine.Model"}
        assert config.trainer == {"_target_": "mine.Trainer"}
        assert config.objective == {"monitor": "mine", "mode": "max"}
        assert composed("objective=val_acc").objective.monitor == "val_acc"


def test_afterwards_other_hydra_apps_see_nothing_of_it(user_dir: Path, tmp_path: Path) -> None:
    before = registered()
    with user_conf_first():
        assert UserConf in registered()
    assert registered() == before
    other = tmp_path / "other"
    (other / "objective").mkdir(parents=True)
    (other / "objective" / "val_loss.yaml").write_text("monitor: theirs")
    (other / "app.yaml").write_text("defaults: [objective: val_loss]")
    with initialize_config_dir(str(other), version_base="1.3"):
        assert compose("app").objective.monitor == "theirs"


def test_so_it_is_when_the_block_fails(user_dir: Path) -> None:
    with pytest.raises(RuntimeError, match="in the block"), user_conf_first():
        raise RuntimeError("in the block")
    assert UserConf not in registered()


def test_it_can_be_used_again(user_dir: Path) -> None:
    for _ in range(2):
        with user_conf_first():
            assert UserConf in registered()
        assert UserConf not in registered()


def test_without_a_conf_the_path_is_keepbests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with user_conf_first():
        assert composed().objective.monitor == "val_loss"


def test_in_a_checkout_keepbests_conf_is_not_taken_for_a_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(conf_dir().parent)
    with user_conf_first(), initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("train", return_hydra_config=True)
    places = [source.path for source in config.hydra.runtime.config_sources if source.schema == "file"]
    assert places == [str(conf_dir())]
