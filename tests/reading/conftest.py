"""An honest run, and what it takes to turn a copy of it into another."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Edit = Callable[..., None]


@pytest.fixture(scope="session")
def honest_run(compose_config, tmp_path_factory, edit_record) -> Path:
    """The directory of a short training. Nobody writes to it.

    The record does not hold the config's hash, so that a test that changes the config sees what else refuses it.
    """
    from keepbest.training.execute import execute
    from keepbest.training.job import create_job

    job_dir = tmp_path_factory.mktemp("honest") / "run"
    settings = ["trainer=cpu", "trainer.max_epochs=2", "model.hidden_sizes=[4]"]
    create_job(job_dir, "run", compose_config(settings))
    execute(job_dir)
    edit_record(job_dir, config_sha256=None)
    return job_dir


@pytest.fixture
def copied(honest_run, tmp_path) -> Path:
    """A copy of the honest run that a test may change."""
    return shutil.copytree(honest_run, tmp_path / "run")


@pytest.fixture(scope="session")
def edit_record() -> Edit:
    """Change keys of a run's record, and give it the checksum that belongs to it: as who made the run can."""
    from keepbest.records.store import sealed

    def edit(run_dir: Path, **changes: Any) -> None:
        data = json.loads((run_dir / "run.json").read_text())
        data.pop("checksum")
        (run_dir / "run.json").write_text(sealed(data | changes))

    return edit


@pytest.fixture(scope="session")
def replace_checkpoint(edit_record) -> Callable[[Path, bytes], None]:
    """Put other bytes in place of a run's best checkpoint, with a record that agrees."""

    def replace(run_dir: Path, content: bytes) -> None:
        (run_dir / "checkpoints" / "best.ckpt").write_bytes(content)
        edit_record(run_dir, best_sha256=hashlib.sha256(content).hexdigest(), best_bytes=len(content))

    return replace
