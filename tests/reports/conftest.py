"""A sweep that the command left, and directories as others could have made them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def trained_sweep(keepbest, tmp_path_factory) -> Path:
    """The directory of a sweep: two patiences by two rates, one of which makes a job diverge, by two seeds."""
    cwd = tmp_path_factory.mktemp("trained")
    settings = [
        "trainer=cpu", "trainer.max_epochs=12", "model.hidden_sizes=[4]", "data.batch_size=256",
        "callbacks.early_stopping.patience=1,3", "model.optimizer.lr=0.1,1e30", "seed=1,2",
    ]  # fmt: skip
    done = keepbest(["train", "-m", *settings, "hydra.sweep.dir=sweep"], cwd)
    assert done.returncode == 1, done.stderr
    return cwd / "sweep"


@dataclasses.dataclass
class MadeJob:
    """A job of a sweep that nobody trained: facts of its record, and the metrics of each epoch."""

    overrides: Sequence[str] = ()
    record: dict[str, Any] | None = dataclasses.field(default_factory=dict)
    metrics: Sequence[dict[str, float]] = ()
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    directory: str | None = None


@pytest.fixture(scope="session")
def made_job() -> type[MadeJob]:
    """What `made_sweep` writes."""
    return MadeJob


@pytest.fixture(scope="session")
def made_sweep() -> Callable[..., Path]:
    """Write the directory of a sweep, but for the checkpoints."""
    from keepbest.composition.resolved import write_config
    from keepbest.records.metrics_table import MetricsTable
    from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus, Stopping, Timing
    from keepbest.records.store import write_record, write_sweep
    from keepbest.records.sweep_record import SweepJob, SweepRecord

    environment = Environment(None, None, {"torch": "2.13.0"}, ["keepbest train", "-m"], "host", "/nowhere")

    def write_run(directory: Path, job: MadeJob) -> None:
        directory.mkdir(parents=True)
        table = MetricsTable(directory / "metrics.csv")
        for epoch, values in enumerate(job.metrics):
            table.append(epoch, 10 * (epoch + 1), values)
        write_config(directory, job.config)
        made = RunRecord(
            id=directory.name,
            status=RunStatus.COMPLETED,
            objective=Objective("val_loss", "min"),
            seed=1,
            environment=environment,
            best_model_score=0.5,
            best_epoch=3,
            stopping=Stopping({"patience": 5}, 8, max(9, len(job.metrics)), "patience_exhausted", None),
            timing=Timing(epochs_trained=len(job.metrics) or 9),
        )
        write_record(directory, dataclasses.replace(made, **(job.record or {})))

    def make(sweep: Path, jobs: Sequence[MadeJob], **changes: Any) -> Path:
        sweep.mkdir()
        places = [job.directory or str(number) for number, job in enumerate(jobs)]
        for place, job in zip(places, jobs, strict=True):
            if job.record is not None:
                write_run(sweep / place, job)
        entries = [
            SweepJob(number, place, list(job.overrides), "0" * 64, None, None, RunStatus.COMPLETED)
            for number, (place, job) in enumerate(zip(places, jobs, strict=True))
        ]
        write_sweep(sweep, dataclasses.replace(SweepRecord(sweep.name, ["-m"], environment, entries), **changes))
        return sweep

    return make


HOSTILE = (
    '</script></style></title><script>window.hit=1</script><img src=x onerror="window.hit=2">'
    "<svg onload='window.hit=3'>"
    "]]>--><a href='javascript:window.hit=4'>{{ 7*7 }}&lt;$\\frac{\x1b[31m\x07\u202e"
)
NO_TEXT = HOSTILE + "\ud800"  # JSON can hold it, UTF-8 cannot


@pytest.fixture(scope="session")
def hostile_sweep(made_sweep, made_job, tmp_path_factory) -> Path:
    """A sweep in which every text that its maker chooses tries to be more than text."""
    from keepbest.records.run_record import Environment, Failure, Objective, RunStatus, Stopping

    environment = Environment(NO_TEXT, True, {HOSTILE: NO_TEXT}, [HOSTILE, NO_TEXT], NO_TEXT, HOSTILE)
    record = {
        "id": NO_TEXT, "objective": Objective(HOSTILE, "min"), "environment": environment, "test": {NO_TEXT: 0.5},
        "stopping": Stopping({NO_TEXT: NO_TEXT, "patience": NO_TEXT}, 1, 3, "patience_exhausted", NO_TEXT),
    }  # fmt: skip
    failed = {"status": RunStatus.FAILED, "error": Failure(NO_TEXT, NO_TEXT, NO_TEXT), "best_model_score": None}
    metrics = [{HOSTILE: value, f"train_{HOSTILE}": value, f"_{HOSTILE}": value} for value in (1.0, 0.5, 0.7)]
    config = {"model": {"_target_": HOSTILE, HOSTILE: HOSTILE}, HOSTILE: [HOSTILE]}
    jobs = [
        made_job(
            [f"{HOSTILE}={HOSTILE}{number % 2}", f"b={NO_TEXT}{number}", f"seed={number}", f"fixed{HOSTILE}={HOSTILE}"],
            record | (failed if number == 3 else {"best_model_path": "best.ckpt"}),
            metrics,
            config,
            directory=f"javascript:window.hit={number}'\"><i>" if number else None,
        )
        for number in range(4)
    ]
    return made_sweep(tmp_path_factory.mktemp("hostile") / "sweep", jobs, id=NO_TEXT, arguments=[NO_TEXT])
