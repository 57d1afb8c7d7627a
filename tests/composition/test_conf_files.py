"""Every YAML under conf/ composes, names things that exist, and opens with what it is and a command that uses it."""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from keepbest.composition.checks import check, policy_of
from keepbest.composition.resolved import PlainConfig, resolve
from keepbest.composition.schema import objective_of, verification_of
from keepbest.composition.search_path import conf_dir
from keepbest.composition.targets import check_targets

CONF = conf_dir()
PRIMARY = "train"
# What a user must say, because nobody else can know it.
ONLY_THE_USER_KNOWS = {"data.data_dir": "there", "data.path": "table.csv", "data.target": "price"}
SECTIONS = ("objective", "model", "data", "callbacks", "trainer", "logger", "seed", "verification", "guards")
OPTIONAL = {"tensorboard": "tensorboard"}  # option: the library that it needs
GIVEN_TO_TRAINER = ("callbacks", "logger", "plugins", "default_root_dir")


class Option(NamedTuple):
    """A YAML file: an option of a group, or a primary config."""

    path: Path

    @property
    def group(self) -> str:
        return self.path.parent.relative_to(CONF).as_posix()

    @property
    def is_primary(self) -> bool:
        return self.group == "."

    @property
    def overrides(self) -> list[str]:
        return [] if self.is_primary else [f"{self.group}={self.path.stem}"]

    @property
    def lines(self) -> list[str]:
        """The file's lines, without the header that says which package it belongs to."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if not line.startswith("# @package ")]

    @property
    def command(self) -> list[str]:
        return shlex.split(self.lines[1].removeprefix("# "))

    def __str__(self) -> str:
        return self.path.relative_to(CONF).with_suffix("").as_posix()


OPTIONS = [Option(path) for path in sorted(CONF.rglob("*.yaml"))]
every_option = pytest.mark.parametrize("option", OPTIONS, ids=str)


class Composed(NamedTuple):
    """A config with the values that only the user knows, and the option that was chosen of each group."""

    config: PlainConfig
    choices: dict[str, str]


@functools.cache
def composed(primary: str, *overrides: str) -> Composed:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(primary, list(overrides), return_hydra_config=True)
    with open_dict(config):
        hydra = config.pop("hydra")
    for key in OmegaConf.missing_keys(config):
        assert key in ONLY_THE_USER_KNOWS, f"{key} is ???: keepbest should know it, or this test what a user would say"
        OmegaConf.update(config, key, ONLY_THE_USER_KNOWS[key])
    return Composed(resolve(config), dict(hydra.runtime.choices))


def selected(option: Option) -> Composed:
    return composed(option.path.stem if option.is_primary else PRIMARY, *option.overrides)


def test_no_file_has_another_ending() -> None:
    assert {path.suffix for path in CONF.rglob("*") if path.is_file()} == {".yaml"}


@every_option
def test_it_composes_resolves_and_passes_the_checks(option: Option) -> None:
    config, choices = selected(option)
    assert option.is_primary or choices[option.group] == option.path.stem
    assert set(config) <= set(SECTIONS)
    check(config)
    objective_of(config)
    verification_of(config)
    policy_of(config)


@every_option
def test_what_it_names_exists_and_takes_what_it_is_given(option: Option) -> None:
    library = OPTIONAL.get(option.path.stem)
    if library and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    config = selected(option).config
    for section in ("model", "data", "callbacks", "logger"):
        check_targets(config[section], section)
    check_targets(config["trainer"], "trainer", given=GIVEN_TO_TRAINER)


@every_option
def test_it_opens_with_what_it_is_and_a_command(option: Option) -> None:
    what, command = option.lines[:2]
    assert re.fullmatch(r"# [A-Z].*[.?)\"]", what), "the first line says in a sentence what this is"
    assert command.startswith("# keepbest "), "the second line is a command that uses it"
    headers = [number for number, line in enumerate(option.path.read_text().splitlines()) if "@package" in line]
    assert headers in ([], [0]), "Hydra reads the package from the first line"


@every_option
def test_its_command_composes_and_uses_it(option: Option) -> None:
    program, name, *arguments = option.command
    assert (program, name) == ("keepbest", "train")
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    assert set(arguments) - set(overrides) <= {"-m", "--multirun"}
    if len(arguments) > len(overrides):  # a sweep: its first job
        overrides = [re.sub(r"=([^\[{(]*?),.*", r"=\1", override) for override in overrides]
    config, choices = composed(PRIMARY, *overrides)
    check(config)
    assert option.is_primary or choices.get(option.group) == option.path.stem
