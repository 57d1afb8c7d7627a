"""What the tests share: runs made through the commands a user types, and jobs executed in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Small models on two shared cores: more threads only get in each other's way."""
    os.environ["OMP_NUM_THREADS"] = "1"


def run_keepbest(
    arguments: Sequence[str], cwd: Path, *, env: dict[str, str] | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does: a process of its own, in a directory of the user's."""
    return subprocess.run(
        [sys.executable, "-m", "keepbest", *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="session")
def keepbest() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The `keepbest` command."""
    return run_keepbest


@pytest.fixture(scope="session")
def default_run(tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What `keepbest train` says and leaves in an empty directory: the finished process and the run's directory."""
    cwd = tmp_path_factory.mktemp("default")
    done = run_keepbest(["train"], cwd)
    (run_dir,) = (cwd / "outputs" / "runs").iterdir()
    return done, run_dir


@pytest.fixture(scope="session")
def compose_config() -> Callable[[Sequence[str]], dict]:
    """Compose and resolve a config as the command does, without running anything."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from keepbest.composition.resolved import resolve
    from keepbest.composition.search_path import conf_dir
    from keepbest.records.locations import new_id

    def composed(overrides: Sequence[str]) -> dict:
        OmegaConf.register_new_resolver("launch_id", new_id, use_cache=True, replace=True)
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return resolve(compose("train", list(overrides)))

    return composed


@pytest.fixture
def run_job(compose_config, tmp_path) -> Callable[..., tuple[Path, object]]:
    """Compose, create and execute a job in this process; give its directory and its record."""
    from keepbest.training.execute import execute
    from keepbest.training.job import create_job

    def job(*overrides: str, name: str = "job") -> tuple[Path, object]:
        job_dir = tmp_path / name
        create_job(job_dir, name, compose_config(["trainer=cpu", *overrides]))
        return job_dir, execute(job_dir)

    return job
