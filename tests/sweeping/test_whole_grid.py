"""A grid of the size that people run, job by job against the same jobs trained on their own."""

import itertools
import json

import pytest

from keepbest.training.execute import execute
from keepbest.training.job import create_job

COMMON = (
    "trainer=cpu", "trainer.max_epochs=40", "model.hidden_sizes=[16]", "model.dropout=0.2", "model.optimizer.lr=0.03",
    "model/scheduler=plateau", "model.scheduler.patience=1", "data.batch_size=256", "guards.overlap=false",
)  # fmt: skip
AXES = {
    "callbacks.early_stopping.patience": ("2", "4", "8", "16"),
    "callbacks.early_stopping.min_delta": ("0", "0.0001", "0.001", "0.01"),
    "seed": ("1", "2", "3"),
}


@pytest.mark.slow
def test_48_members_of_3_trainings_have_what_48_jobs_have(keepbest, compose_config, tmp_path, differences, record_of):
    grid = [f"{key}={','.join(values)}" for key, values in AXES.items()]
    done = keepbest(["train", "-m", *COMMON, *grid, "hydra.sweep.dir=sweep"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "48 jobs, 3 trainings of at most 120 epochs instead of 1920" in done.stdout
    plan = json.loads((tmp_path / "sweep" / "sweep.json").read_text())["jobs"]
    trained = 0
    for number, values in enumerate(itertools.product(*AXES.values())):
        overrides = [f"{key}={value}" for key, value in zip(AXES, values, strict=True)]
        assert plan[number]["overrides"][-3:] == overrides
        alone = tmp_path / "alone" / str(number)
        create_job(alone, str(number), compose_config([*COMMON, *overrides]))
        execute(alone)
        assert differences(tmp_path / "sweep" / str(number), alone) == [], overrides
        trained += record_of(alone)["timing"]["epochs_trained"]
    stops = {record_of(tmp_path / "alone" / str(number))["stopping"]["stopped_epoch"] for number in range(48)}
    assert len(stops) > 10, "the jobs must stop at different moments for this to say something"
    shared = [record_of(path.parent)["timing"]["epochs_trained"] for path in tmp_path.glob("sweep/traj*/*/run.json")]
    assert f"{sum(shared)} trained, {trained} if each job had trained on its own" in done.stdout
