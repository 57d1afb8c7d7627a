"""What the tests of sweeps share: members of one training, beside the same jobs on their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

SAME = (
    "status", "error", "objective", "seed", "config_sha256", "best_model_path", "best_model_score", "best_epoch",
    "best_step", "verified", "stopping", "policy_best", "test",
)  # fmt: skip


def equal(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other or (one != one and other != other)


def _record_of(directory: Path) -> dict:
    return json.loads((directory / "run.json").read_text())


def _differences(one: Path, other: Path) -> list[str]:
    """Return in what two runs differ that must not: all but times, paths and the hash of files that name paths."""
    records = _record_of(one), _record_of(other)
    found = [name for name in SAME if not equal(records[0][name], records[1][name])]
    if records[0]["timing"]["epochs_trained"] != records[1]["timing"]["epochs_trained"]:
        found.append("epochs_trained")
    if (one / "metrics.csv").read_text() != (other / "metrics.csv").read_text():
        found.append("metrics.csv")
    return found + _different_weights(one, other, records)


def _different_weights(one: Path, other: Path, records: tuple[dict, dict]) -> list[str]:
    if records[0]["best_model_path"] is None or records[1]["best_model_path"] is None:
        return []
    paths = [directory / record["best_model_path"] for directory, record in zip((one, other), records, strict=True)]
    for path, record in zip(paths, records, strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == record["best_sha256"]
        assert path.stat().st_size == record["best_bytes"]
    contents = [torch.load(path, weights_only=True) for path in paths]
    kept = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")
    return [name for name in kept if not equal(contents[0].get(name), contents[1].get(name))]


@pytest.fixture(scope="session")
def record_of() -> Callable[[Path], dict]:
    """Read a record."""
    return _record_of


@pytest.fixture(scope="session")
def differences() -> Callable[[Path, Path], list[str]]:
    """Compare two runs."""
    return _differences


@pytest.fixture
def share(compose_config, tmp_path) -> Callable[..., list[Path]]:
    """Plan members of one training, as a sweep would; give the training's directory and the members'."""
    from keepbest.composition.checks import policy_of
    from keepbest.sweeping.fingerprint import fingerprint_of, watch_settings_of, without_policy
    from keepbest.sweeping.members import Member, Members, write_members
    from keepbest.training.job import create_job

    def plan(common: Sequence[str], members: Sequence[Sequence[str]], name: str = "sweep") -> tuple[Path, list[Path]]:
        configs = [compose_config(["trainer=cpu", *common, *member]) for member in members]
        assert len({fingerprint_of(config) for config in configs}) == 1, "they are no members of one training"
        directories = [tmp_path / name / str(number) for number in range(len(configs))]
        for directory, config in zip(directories, configs, strict=True):
            create_job(directory, directory.name, config)
        training = tmp_path / name / "trajectories" / "x"
        create_job(training, "x", without_policy(configs[0]))
        all_of_them = tuple(Member(d, policy_of(c)) for d, c in zip(directories, configs, strict=True))
        write_members(training, Members(fingerprint_of(configs[0]), all_of_them, **watch_settings_of(configs[0])))
        return training, directories

    return plan


@pytest.fixture
def alone(compose_config, tmp_path) -> Callable[..., Path]:
    """Execute a job on its own."""
    from keepbest.training.execute import execute
    from keepbest.training.job import create_job

    def run(overrides: Sequence[str], name: str) -> Path:
        directory = tmp_path / "alone" / name
        create_job(directory, name, compose_config(["trainer=cpu", *overrides]))
        execute(directory)
        return directory

    return run


@pytest.fixture
def sweep_config(tmp_path, monkeypatch) -> Callable[..., tuple]:
    """Compose what Hydra hands to a sweeper, with `conf/` of an empty directory: its context and the sweep's config."""
    from hydra import version
    from hydra._internal.callbacks import Callbacks
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import HydraContext, RunMode
    from omegaconf import OmegaConf

    from keepbest.composition.search_path import conf_dir, user_conf_first

    monkeypatch.chdir(tmp_path)
    OmegaConf.register_new_resolver("launch_id", lambda: "abc123", replace=True)
    version.setbase("1.3")

    def compose(*overrides: str) -> tuple:
        with user_conf_first():
            app = Hydra.create_main_hydra2("train", create_config_search_path(str(conf_dir())))
        try:
            config = app.compose_config(
                "train",
                ["hydra.mode=MULTIRUN", *overrides],
                run_mode=RunMode.MULTIRUN,
                with_log_configuration=False,
            )
        finally:
            GlobalHydra.instance().clear()
        return HydraContext(config_loader=app.config_loader, callbacks=Callbacks(config)), config

    return compose
