"""The composed jobs are what plain Hydra composes, and what its basic launcher writes."""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Optional

import hydra
import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from keepbest.composition.resolved import resolve
from keepbest.composition.search_path import conf_dir
from keepbest.sweeping.fingerprint import MASKED
from keepbest.sweeping.job_composer import JobComposer

ES = "callbacks.early_stopping"
PATIENCE = f"{ES}.patience"
DELTA = f"{ES}.min_delta"
WRITES = "hydra.output_subdir=.hydra"  # keepbest's own setting keeps Hydra from writing these files
FILES = ("config", "hydra", "overrides")


class Pace(Enum):
    SLOW = 1
    QUICK = 2


@dataclass
class TypedStopping:
    """A schema as a user may put before early stopping."""

    _target_: str = "keepbest.EarlyStopping"
    monitor: str = "${objective.monitor}"
    mode: str = "${objective.mode}"
    patience: int = 5
    min_delta: float = 0.0
    baseline: Optional[float] = None  # noqa: UP045 - OmegaConf reads it
    verbose: bool = False
    check_finite: Any = True
    stopping_threshold: Pace = Pace.SLOW
    divergence_threshold: Path = Path("a b")
    start_from_epoch: int = 0
    mark: bytes = b"\x00\x01"
    notes: dict[str, int] = field(default_factory=dict)


@dataclass
class Aliased:
    """Callbacks whose early stopping is a typed mapping that lies elsewhere."""

    early_stopping: TypedStopping = "${usual}"  # type: ignore[assignment]
    model_checkpoint: Any = None


@dataclass
class Usual:
    """Where it lies."""

    usual: TypedStopping = field(default_factory=TypedStopping)


CONF = {
    "callbacks/early_stopping/typed.yaml": "defaults: [typed_schema, _self_]\npatience: 7\n",
    "callbacks/early_stopping/bare.yaml": "_target_: keepbest.EarlyStopping\nmonitor: ${objective.monitor}\n",
    "experiment/impatient.yaml": "# @package _global_\ndefaults:\n  - override /callbacks/early_stopping: complex\n"
    "  - override /model: cnn\ncallbacks:\n  early_stopping:\n    patience: 2\nseed: 7\n",
    "experiment/asks_hydra.yaml": "# @package _global_\nnumber: ${hydra:job.num}\nid: ${hydra:job.id}\n"
    "place: ${hydra:runtime.output_dir}\nname: ${hydra:job.override_dirname}\nall: ${hydra:overrides.task}\n"
    "of: ${hydra:runtime.choices.model}\n",
    "experiment/in_its_own_room.yaml": "# @package _global_\nhydra:\n  job:\n    env_set:\n      ROOM: own\n",
}  # fmt: skip


@pytest.fixture
def conf(tmp_path):
    """A user's conf/ directory."""
    store = ConfigStore.instance()
    store.store(group="callbacks/early_stopping", name="typed_schema", node=TypedStopping)
    store.store(group="callbacks", name="aliased", node=Aliased)
    store.store(group="elsewhere", name="usual", node=Usual, package="_global_")
    for name, text in CONF.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)


class Remembering:
    """Hydra's loader, which composes the same overrides once and counts."""

    def __init__(self, loader: Any) -> None:
        self.loader, self.count = loader, 0
        self.known: dict[tuple[str, ...], Any] = {}

    def load_sweep_config(self, master: Any, overrides: list[str]) -> Any:
        self.count += 1
        key = tuple(overrides)
        if key not in self.known:
            self.known[key] = _outcome(lambda: self.loader.load_sweep_config(master, overrides))
        if isinstance(self.known[key], Exception):
            raise self.known[key]
        return copy.deepcopy(self.known[key])


@pytest.fixture
def compared(sweep_config):
    """Launch jobs with Hydra's basic launcher and compose them; give both, each as it can be compared.

    As in Hydra's sweepers, what the command line says of all jobs is part of the overrides of each.
    """

    def run(common: Sequence[str], jobs: Sequence[Sequence[str]]) -> tuple[list[Any], list[Any]]:
        context, master = sweep_config(WRITES, *common)
        context.config_loader = loader = Remembering(context.config_loader)
        every = [text for text in common if "hydra." not in text.partition("=")[0]]
        jobs = [[*every, *job] for job in jobs]
        launched = []
        for number, overrides in enumerate(jobs):
            launcher = BasicLauncher()
            launcher.setup(hydra_context=context, task_function=resolve, config=master)
            launched.append(_outcome(lambda by=launcher, n=number, o=overrides: _launched(by, n, o)))
        composer = JobComposer(loader, master, MASKED)
        composed = [
            _outcome(lambda n=number, o=overrides: _composed(composer, n, o)) for number, overrides in enumerate(jobs)
        ]
        return list(map(_told, launched)), list(map(_told, composed))

    return run


def _outcome(produce) -> Any:
    try:
        return produce()
    except Exception as error:  # noqa: BLE001 - whatever Hydra raises, the composer must raise too
        return error


def _told(outcome: Any) -> Any:
    """Return what is to be compared, an error by its type and text."""
    return (type(outcome).__name__, str(outcome)) if isinstance(outcome, Exception) else outcome


def _launched(launcher: BasicLauncher, number: int, overrides: Sequence[str]) -> Any:
    (result,) = launcher.launch([list(overrides)], initial_job_idx=number)
    directory = Path(result.hydra_cfg.hydra.runtime.output_dir)
    files = {name: (directory / ".hydra" / f"{name}.yaml").read_text() for name in FILES}
    return _comparable(result.return_value), directory, files


def _composed(composer: JobComposer, number: int, overrides: Sequence[str]) -> Any:
    before = dict(os.environ), HydraConfig.instance().cfg
    job = composer.compose(number, overrides)
    files = composer.hydra_files(job)
    assert (job.number, job.overrides) == (number, tuple(overrides))
    assert (dict(os.environ), HydraConfig.instance().cfg) == before, "nothing is left behind"
    return _comparable(job.config), job.directory, files


def _comparable(config: Any) -> str:
    """Return a text that tells 1, 1.0 and true apart, as well as the order of keys; NaN equals itself."""
    return repr(config)


def grid(key: str, values: str) -> list[list[str]]:
    return [[f"{key}={value}"] for value in values.split()]


def columns(*rows: Sequence[str]) -> list[list[str]]:
    """Return jobs of one text each for several settings: many values in few jobs."""
    return [[f"{ES}.{key}={value}" for key, value in zip(NAMES, row, strict=False)] for row in rows]


NAMES = (
    "patience",
    "min_delta",
    "baseline",
    "start_from_epoch",
    "stopping_threshold",
    "divergence_threshold",
    "verbose",
)
LONG = " ".join(["a rather long text"] * 12)
CASES: dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]] = {
    "no overrides": ((), [[]]),
    "numbers": ((), columns(
        ("1", "null", "0", "-1", "00012", "1_000", "3"), ("0", "0.0", "1e-4", "1.0e-4", "1", "1.0", "1e300"),
        ("-0.0", "inf", "-inf", "nan", ".5", "5.", "2"))),
    "truth values": ((), columns(
        ("true", "false", "True", "null", "yes", "'true'", "on"), ("1", "on", "off", "no", "'null'", "FALSE", "0"))),
    "texts": ((), columns(
        ("'3'", "abc", "'a b'", "''", "' '", '"it\'s"', "'a: b # c'"),
        ("'- x'", "'null'", "'1e-4'", "'~'", "'[1, 2]'", "' lead and trail '", "'schön'"),
        ("'\u2028'", "'tab\there'", "'{a}'", "'@x'", "'%y'", f"'{LONG}'", "'x\ny'"),
        (r"'back\\slash'", "'5:30'", "'2026-11-22'", "'0x1F'", "'1_0'", "'\u202e'", "'!!python/none'"))),
    "two settings, in both orders": ((), [
        [f"{PATIENCE}=2", f"{DELTA}=0.1"], [f"{DELTA}=0.2", f"{PATIENCE}=3"], [f"{PATIENCE}=4"], [f"{DELTA}=0"]]),
    "the same setting twice": ((), [[f"{PATIENCE}=2", f"{PATIENCE}=3"], [f"{PATIENCE}=5", f"{PATIENCE}=1"]]),
    "a value that is missing": ((), grid(PATIENCE, "??? '???' 3 ???")),
    "lists and mappings": ((), grid(PATIENCE, "3 [1,2] {a:1} 4")),
    "a choice of the group": ((), grid("callbacks/early_stopping", "simple complex off")),
    "a choice beside a value, before and after": ((), [
        [f"{PATIENCE}=3", "callbacks/early_stopping=complex"], ["callbacks/early_stopping=complex", f"{PATIENCE}=4"],
        [f"{DELTA}=1", "callbacks/early_stopping=complex", f"{PATIENCE}=5"]]),
    "a value for what is off": ((), [["callbacks/early_stopping=off", f"{PATIENCE}={value}"] for value in (3, 4)]),
    "a setting that the option lacks": ((), [
        ["callbacks/early_stopping=bare", f"{PATIENCE}=3"], ["callbacks/early_stopping=bare", f"+{PATIENCE}=3"]]),
    "added, forced, removed": ((), [
        [f"++{PATIENCE}=3"], [f"{PATIENCE}=4"], [f"+{PATIENCE}=5"], [f"+{ES}.extra=1", f"{PATIENCE}=6"],
        [f"{PATIENCE}=7", f"++{PATIENCE}=8"], [f"++{PATIENCE}=8", f"{PATIENCE}=7"], [f"~{ES}.strict", f"{PATIENCE}=9"],
        [f"{PATIENCE}=9", f"~{PATIENCE}"], [f"~{PATIENCE}", f"{PATIENCE}=9"], ["~callbacks", f"{PATIENCE}=2"],
        ["~callbacks/early_stopping", f"{PATIENCE}=2"], [f"~{ES}", f"{PATIENCE}=2"]]),
    "mappings": ((), [
        [f"{ES}={{patience: 3}}", f"{PATIENCE}=4"], [f"{PATIENCE}=4", f"{ES}={{patience: 3}}"],
        ["callbacks={early_stopping: {patience: 3}}", f"{PATIENCE}=4"],
        [f"{PATIENCE}=4", "callbacks={early_stopping: {patience: 3}}"], [f"{ES}=null", f"{PATIENCE}=4"],
        [f"{PATIENCE}=4", f"+{ES}={{extra: [1, {{a: b}}]}}"], ["callbacks=null", f"{PATIENCE}=4"]]),
    "other values beside": (("seed=3",), [
        [f"{PATIENCE}=3", "seed=1"], ["seed=1", f"{PATIENCE}=4"], ["seed=2"], [],
        ["model/optimizer=sgd", "model.optimizer.lr=0.5", f"{PATIENCE}=3"]]),
    "other values in another order": ((), [
        [f"{PATIENCE}=3", "++a=1", "++a=2"], [f"{PATIENCE}=3", "++a=2", "++a=1"]]),
    "text that reads a patched value": (("+tag='p${callbacks.early_stopping.patience}'",), grid(PATIENCE, "1 2")),
    "text that reads it by way of another": (
        ("+a=${b}", "+b=${c.d}", "+c.d='${callbacks[early_stopping].patience}'"), grid(PATIENCE, "1 2")),
    "text that begins with a bracket": (("+a='${[callbacks].early_stopping.patience}'",), grid(PATIENCE, "1 2")),
    "text that reads the whole node": (("+copy=${callbacks.early_stopping}",), grid(PATIENCE, "1 2")),
    "text that reads all callbacks": (("+copy=${callbacks}",), grid(PATIENCE, "1 2")),
    "relative text": (("++callbacks.early_stopping.restore='${.min_delta}'",), grid(DELTA, "1 2")),
    "relative text from beside": (
        ("callbacks.model_checkpoint.min_delta='${..early_stopping.min_delta}'",), grid(DELTA, "1 2")),
    "nested text": (("+which=patience", "+a='${callbacks.early_stopping.${which}}'"), grid(PATIENCE, "1 2")),
    "text for a resolver": (
        ("+a='${times:2,${callbacks.early_stopping.patience}}'", "+b=${times:2,3}"), grid(PATIENCE, "1 2")),
    "text for a resolver that selects": (
        ("+a='${oc.select:callbacks.early_stopping.patience,0}'",), grid(PATIENCE, "1 2")),
    "text in a list": (("+a=[1,[x,{b:'${callbacks.early_stopping.patience}'}]]",), grid(PATIENCE, "1 2")),
    "text that reads nothing": ((r"+a='\${callbacks.early_stopping.patience}'", "+b=${seed}"), grid(PATIENCE, "1 2")),
    "a value that is itself text to interpolate": ((), [
        [f"{PATIENCE}=${{seed}}", "seed=2"], [f"{PATIENCE}=4", "seed=2"], [f"{PATIENCE}='a$b'"]]),
    "what Hydra says of the job": (
        ("experiment=asks_hydra", "+also=${hydra:job.num}"), grid(PATIENCE, "1 2")),
    "text that leads nowhere": (("+a=${b.c}",), grid(PATIENCE, "1 2")),
    "a directory by its overrides": (("hydra.sweep.subdir=${hydra.job.override_dirname}",), [
        [f"{PATIENCE}=3", "seed=1"], ["seed=1", f"{PATIENCE}=3"], [f"+{ES}.extra='a/b'"]]),
    "a directory without some overrides": ((
        "hydra.sweep.subdir=${hydra.job.override_dirname}/${seed}",
        "hydra.job.config.override_dirname.exclude_keys=[seed]", "hydra.job.config.override_dirname.kv_sep=_",
        "hydra.job.config.override_dirname.item_sep='__'"),
        [[f"{PATIENCE}=3", "seed=1", f"{DELTA}=1"], [f"{PATIENCE}=4", "seed=1", f"{DELTA}=1"]]),
    "a directory by a patched value": (
        ("hydra.sweep.subdir='p${callbacks.early_stopping.patience}'",), grid(PATIENCE, "1 2")),
    "a directory of the user's making": ((
        "hydra.sweep.subdir='${times:2,${hydra.job.num}}-${hydra:job.num}-${now:%Y}'",), grid(PATIENCE, "1 2")),
    "a directory above": (
        ("hydra.sweep.dir=a/../b", "hydra.sweep.subdir=../c/${hydra.job.num}"), grid(PATIENCE, "1 2")),
    "a sweep's directory above": (("hydra.sweep.dir=a/../../b",), grid(PATIENCE, "1 2")),
    "a sweep's directory by a patched value": (
        ("hydra.sweep.dir='out/${callbacks.early_stopping.patience}'",), grid(PATIENCE, "1 2")),
    "an experiment": ((), [
        ["experiment=impatient", f"{PATIENCE}=3"], [f"{PATIENCE}=4", "experiment=impatient"],
        ["experiment=digits_cnn", f"{PATIENCE}=3"], ["experiment=null", f"{PATIENCE}=3"]]),
    "a preset of sweeps": (("sweep=patience_seeds",), [[f"{PATIENCE}=3", "seed=1"]]),
    "a typed node": (("callbacks/early_stopping=typed",), [
        *columns(("3", "1", "null", "3", "QUICK", "c/d", "on"), ("'4'", "'1e-3'", "2", "4", "2", "e", "0"),
                 ("6", "inf", "'2'", "5", "SLOW", "'f g'", "false")),
        [f"{PATIENCE}=x"], [f"{PATIENCE}=1"], [f"{PATIENCE}=1.5"], [f"{PATIENCE}=null"],
        [f"{ES}.stopping_threshold=NONE"], [f"{ES}.strict=true"], [f"{ES}.check_finite=abc", f"+{ES}.notes.a=1"]]),
    "an early stopping that lies elsewhere": (("+elsewhere=usual", "callbacks=aliased"), [
        [f"{PATIENCE}=3"], [f"{PATIENCE}=4", "usual.patience=4"], [f"{PATIENCE}=6", "usual.patience=4"],
        ["usual.patience=2", f"{PATIENCE}=8"], [f"{DELTA}=1", f"{PATIENCE}=8"]]),
    "a second way to the same value": (("+other=${callbacks.early_stopping}", "+others=[1,'${callbacks}']"), [
        [f"{PATIENCE}=1", "other=5"], [f"{PATIENCE}=2", "other=5"], [f"{PATIENCE}=2", "others.1=5"]]),
    "environment variables": ((
        "hydra.job.env_copy=[ROOM]", "+hydra.job.env_set.HOUSE=7", "+a='${oc.env:ROOM}${oc.env:HOUSE}'"),
        grid(PATIENCE, "1 2")),
    "environment variables of the job": (
        ("+hydra.job.env_set.SEAT='${hydra:job.num}'", "+a='${oc.env:SEAT}'"), grid(PATIENCE, "1 2")),
    "environment variables of an experiment": (("hydra.job.env_copy=[ROOM]", "+a='${oc.env:ROOM}'"), [
        ["experiment=in_its_own_room", f"{PATIENCE}=1"], [f"{PATIENCE}=2"]]),
    "overrides of Hydra's own settings": ((), [
        ["+hydra.job.env_set.A=1", f"{PATIENCE}=3"], [f"{PATIENCE}=4", "+hydra.job.env_set.A=1"],
        ["hydra.sweep.subdir=x", f"{PATIENCE}=4"]]),
    "what is no override": ((), [
        ["patience"], ["=3"], ["a=(b"], [f"{PATIENCE}=1,2"], [f"{PATIENCE}="], ["no.such.key=1", f"{PATIENCE}=2"],
        ["model=no_such_option"], [f"{ES}.patiense=3"], ["callbacks/no_such_group=x", f"{PATIENCE}=2"]]),
}  # fmt: skip


@pytest.mark.parametrize(("common", "jobs"), CASES.values(), ids=CASES)
def test_a_job_is_what_plain_hydra_makes_of_it(common, jobs, conf, compared, monkeypatch):
    monkeypatch.setenv("ROOM", "one")
    OmegaConf.register_new_resolver("times", lambda one, other: one * other, replace=True)
    launched, composed = compared(common, jobs)
    for overrides, expected, found in zip(jobs, launched, composed, strict=True):
        assert found == expected, overrides


ANY = st.sampled_from([
    f"{PATIENCE}=1", f"{PATIENCE}=2", f"{PATIENCE}=null", f"{PATIENCE}='x y'", f"{DELTA}=0.1", f"{DELTA}=1",
    "callbacks/early_stopping=complex", "callbacks/early_stopping=off", "callbacks/early_stopping=typed", "seed=1",
    f"+{ES}.extra=1", f"++{PATIENCE}=3", f"~{ES}.baseline", f"{ES}={{patience: 9}}", f"{PATIENCE}=${{seed}}",
    "+tag='${callbacks.early_stopping.min_delta}'", "experiment=impatient", "model=cnn", "+number=${hydra:job.num}",
])  # fmt: skip


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each composition takes a tenth of a second
)
@given(jobs=st.lists(st.lists(ANY, max_size=4), min_size=2, max_size=4))
def test_whatever_is_combined(jobs, conf, compared):
    launched, composed = compared((), jobs)
    assert composed == launched


def test_the_files_of_a_job_do_not_depend_on_which_jobs_came_before(sweep_config):
    context, master = sweep_config("hydra.sweep.subdir='p${callbacks.early_stopping.patience}'")
    overrides = [[f"{PATIENCE}={patience}", f"seed={seed}"] for patience in (1, 2, 3) for seed in (1, 2)]
    composer = JobComposer(context.config_loader, master, MASKED)
    jobs = [composer.compose(number, each) for number, each in enumerate(overrides)]
    forwards = [composer.hydra_files(job) for job in jobs]
    backwards = [composer.hydra_files(job) for job in reversed(jobs)]
    assert forwards == backwards[::-1]
    alone = [
        JobComposer(context.config_loader, master, MASKED).compose(number, each)
        for number, each in enumerate(overrides)
    ]
    assert alone == jobs


COUNTS = {
    "one trajectory": ([f"{PATIENCE}={a}", f"{DELTA}={b}"] for a in range(5) for b in range(5)),
    "in another order": (
        [f"{DELTA}={b}", f"{PATIENCE}={a}"][:: 1 if a % 2 else -1] for a in range(5) for b in range(5)
    ),
}


@pytest.mark.parametrize("jobs", COUNTS.values(), ids=COUNTS)
def test_jobs_that_differ_in_the_policy_are_composed_once(jobs, sweep_config):
    context, master = sweep_config()
    loader = Remembering(context.config_loader)
    composer = JobComposer(loader, master, MASKED)
    for job in [composer.compose(number, overrides) for number, overrides in enumerate(jobs)]:
        composer.hydra_files(job)
    assert loader.count == 1


def test_other_overrides_are_composed_once_each(sweep_config):
    context, master = sweep_config()
    loader = Remembering(context.config_loader)
    composer = JobComposer(loader, master, MASKED)
    for number, (patience, seed) in enumerate((patience, seed) for patience in (1, 2, 3) for seed in (1, 2)):
        composer.compose(number, [f"{PATIENCE}={patience}", f"seed={seed}"])
    assert loader.count == 2


def test_a_resolver_that_answers_once_does_so_in_each_job(sweep_config):
    """As in Hydra: its answers are remembered with the config, and each job has a config of its own."""
    answers = iter(range(100))
    OmegaConf.register_new_resolver("dice", lambda: next(answers), use_cache=True, replace=True)
    context, master = sweep_config("hydra.sweep.subdir=${dice:}")
    composer = JobComposer(context.config_loader, master, MASKED)
    dice = "+one=${dice:}", "+other=${dice:}"
    jobs = [composer.compose(number, [*dice, f"{PATIENCE}={number}"]) for number in range(3)]
    assert len({job.config["one"] for job in jobs}) == 3
    assert all(job.config["one"] == job.config["other"] == int(job.directory.name) for job in jobs)


def test_the_environment_of_a_job_is_known(conf, sweep_config, monkeypatch):
    monkeypatch.setenv("ROOM", "one")
    context, master = sweep_config("hydra.job.env_copy=[ROOM]", "+hydra.job.env_set.SEAT='${hydra:job.num}'")
    composer = JobComposer(context.config_loader, master, MASKED)
    assert composer.compose(3, [f"{PATIENCE}=1"]).environment == {"ROOM": "one", "SEAT": "3"}
    assert composer.compose(4, [f"{PATIENCE}=2"]).environment == {"ROOM": "one", "SEAT": "4"}


def test_many_other_overrides_do_not_fill_the_memory(sweep_config, monkeypatch):
    """What was composed first is forgotten, and composed again where it is asked for."""
    monkeypatch.setattr("keepbest.sweeping.job_composer._MOST_BASES", 2)
    context, master = sweep_config()
    loader = Remembering(context.config_loader)
    composer = JobComposer(loader, master, MASKED)
    jobs = [composer.compose(number, [f"seed={number}"]) for number in range(4)]
    assert [composer.compose(number, [f"seed={number}"]) for number in range(4)] == jobs
    assert loader.count == 8


BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"  # Hydra imports the module anew for its plugins
SWEEPS = {
    "policies and seeds": [f"{PATIENCE}=1,3", f"{DELTA}=1e-3", "seed=1,2"],
    "choices": ["callbacks/early_stopping=simple,complex,off", "+tag=x"],
    "names": [f"{PATIENCE}=range(1,4)", "hydra.sweep.subdir=${hydra.job.override_dirname}", "+number=${hydra:job.num}"],
}


@pytest.mark.parametrize("arguments", SWEEPS.values(), ids=SWEEPS)
def test_a_sweep_is_what_the_basic_sweeper_makes_of_it(arguments, tmp_path, monkeypatch):
    """A Hydra application with Hydra's own sweeper and launcher writes the same directories."""
    seen: list[Any] = []
    basic: Any = Plugins.instance().class_name_to_class[BASIC]
    launched: list[Any] = []

    def note(config: Any) -> None:
        directory = Path(HydraConfig.get().runtime.output_dir)
        (directory / "resolved.json").write_text(json.dumps(OmegaConf.to_container(config, resolve=True)))
        launched.append(directory)

    def sweep(sweeper: Any, arguments: list[str], original: Any = basic.sweep) -> Any:
        seen.append(sweeper)
        return original(sweeper, arguments)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(basic, "sweep", sweep)
    monkeypatch.setattr(sys, "argv", ["app", "-m", "hydra/sweeper=basic", WRITES, *arguments])
    OmegaConf.register_new_resolver("launch_id", lambda: "abc123", replace=True)
    try:
        hydra.main(config_path=str(conf_dir()), config_name="train", version_base="1.3")(note)()
    finally:
        GlobalHydra.instance().clear()
    (sweeper,) = seen
    composer = JobComposer(sweeper.hydra_context.config_loader, sweeper.config, MASKED)
    jobs = [composer.compose(number, overrides) for number, overrides in enumerate(sweeper.overrides[0])]
    assert [job.directory for job in jobs] == launched
    for job in jobs:
        assert job.config == json.loads((job.directory / "resolved.json").read_text())
        for name, text in composer.hydra_files(job).items():
            assert text == (job.directory / ".hydra" / f"{name}.yaml").read_text()
