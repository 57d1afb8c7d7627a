"""An honest run, and what it takes to turn a copy of it into another."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
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


@pytest.fixture(scope="session")
def trained_sweep(keepbest, tmp_path_factory) -> Path:
    """The directory of a sweep that the command left: two patiences by two seeds. Nobody writes to it."""
    cwd = tmp_path_factory.mktemp("trained")
    settings = [
        "trainer=cpu", "trainer.max_epochs=4", "model.hidden_sizes=[4]", "data.batch_size=256",
        "callbacks.early_stopping.patience=1,3", "seed=1,2",
    ]  # fmt: skip
    done = keepbest(["train", "-m", *settings, "hydra.sweep.dir=sweep"], cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "sweep"


@dataclasses.dataclass
class FakeJob:
    """A job of a sweep that nobody trained.

    `record` are facts that differ from those of a completed run, None for a job without a record; `values` is the
    metric after each epoch.
    """

    overrides: Sequence[str]
    score: float | None = 0.5
    record: dict[str, Any] | None = dataclasses.field(default_factory=dict)
    values: Sequence[float] = ()
    trajectory: str | None = None
    status: str = "completed"


@pytest.fixture(scope="session")
def fake_job() -> type[FakeJob]:
    """What `make_sweep` writes."""
    return FakeJob


@pytest.fixture
def make_sweep(tmp_path) -> Callable[..., Path]:
    """Write the directory of a sweep, as its jobs would have left it, but for the checkpoints."""
    from keepbest.checkpoints.hashing import sha256_of
    from keepbest.records.metrics_table import MetricsTable
    from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus, Stopping, Timing
    from keepbest.records.store import write_record, write_sweep
    from keepbest.records.sweep_record import SweepJob, SweepRecord

    environment = Environment(None, None, {"torch": "2.13.0"}, ["keepbest"], "host", "/")

    def write_run(directory: Path, name: str, job: FakeJob) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        table = MetricsTable(directory / "metrics.csv")
        for epoch, value in enumerate(job.values):
            table.append(epoch, 10 * (epoch + 1), {"val_loss": value})
        made = RunRecord(
            id=name,
            status=RunStatus(job.status),
            objective=Objective("val_loss", "min"),
            seed=1,
            environment=environment,
            best_model_score=job.score,
            best_epoch=None if job.score is None else 3,
            stopping=Stopping({}, 8, max(9, len(job.values)), "patience_exhausted", None),
            timing=Timing(epochs_trained=len(job.values) or 9),
            metrics_sha256=sha256_of(directory / "metrics.csv") if job.values else None,
        )
        write_record(directory, dataclasses.replace(made, **(job.record or {})))

    def make(jobs: Sequence[FakeJob], name: str = "sweep", **changes: Any) -> Path:
        sweep = tmp_path / name
        sweep.mkdir(exist_ok=True)
        for number, job in enumerate(jobs):
            if job.record is not None:
                write_run(sweep / str(number), f"{name}/{number}", job)
        entries = [
            SweepJob(number, str(number), list(job.overrides), "0" * 64, job.trajectory, None, RunStatus(job.status))
            for number, job in enumerate(jobs)
        ]
        write_sweep(sweep, dataclasses.replace(SweepRecord(name, ["-m"], environment, entries), **changes))
        return sweep

    return make
