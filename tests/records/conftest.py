"""Records of runs, complete and plausible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from keepbest.records.run_record import (
    Environment,
    Evaluation,
    Failure,
    LastCheckpoint,
    Objective,
    PolicyBest,
    RunRecord,
    RunStatus,
    Stopping,
    Timing,
    TrajectoryReference,
    Verification,
)
from keepbest.stopping.policy import StoppingPolicy


@pytest.fixture
def pending() -> RunRecord:
    """A record that knows only what is known before a job runs."""
    environment = Environment(None, None, {}, ["keepbest", "train"], "host", "/home/me")
    return RunRecord("2026-11-22_10-00-00_abc123", RunStatus.PENDING, Objective("val_loss", "min"), 1, environment)


@pytest.fixture
def complete() -> RunRecord:
    """A record in which nothing is null."""
    return RunRecord(
        id="2026-11-22_10-00-00_abc123",
        status=RunStatus.FAILED,
        objective=Objective("val_acc", "max"),
        seed=42,
        environment=Environment("0" * 40, True, {"torch": "2.13.0"}, ["keepbest"], "host", "/home/me", threads=2),
        error=Failure("ValueError", "no", "Traceback\n"),
        best_model_path="checkpoints/best.ckpt",
        best_model_score=0.975,
        best_epoch=7,
        best_step=184,
        best_sha256="f" * 64,
        config_sha256="ef" * 32,
        metrics_sha256="ab" * 32,
        best_bytes=123456,
        last=LastCheckpoint("checkpoints/last.ckpt", "cd" * 32, 123456, epoch=12, step=290, ended_early=False),
        verified=Verification(0.975, 0.0, True),
        stopping=Stopping(StoppingPolicy().as_dict(), 12, 13, "patience_exhausted", "it did not improve"),
        policy_best=PolicyBest(6, 0.97),
        test={"test_loss": 0.1, "test_acc": 0.96},
        trajectory=TrajectoryReference("ab12", 16, "../trajectories/ab12"),
        timing=Timing("2026-11-22T10:00:00+01:00", "2026-11-22T10:01:00+01:00", 60.0, 13),
        evaluations=[
            Evaluation("val", None, {"val_acc": 0.975}, "2026-11-22T11:00:00+01:00", "cpu", "f" * 64, "0.1.0"),
            Evaluation("test", {"_target_": "my.Data"}, {"x": float("inf")}, "2026-11-22T11:00:00+01:00", "cpu", None),
        ],
    )


@pytest.fixture
def limited_file_size() -> Callable[[int], AbstractContextManager[None]]:
    """A real way to make writing fail half-way: no file may grow beyond some bytes for the length of a block."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit(number: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def names_in() -> Callable[[Path], list[str]]:
    """The names of all files right inside a directory, hidden ones included."""
    return lambda directory: sorted(path.name for path in directory.iterdir())
