"""`keepbest train` on scikit-learn's digits, as a newcomer runs it."""

import json
import math

import pandas as pd
import pytest

from keepbest.records.metrics_table import read_metrics

DESIGN_KEYS = [
    "schema_version", "id", "status", "error", "objective", "seed", "config_sha256", "metrics_sha256",
    "best_model_path", "best_model_score", "best_epoch", "best_step", "best_sha256", "best_bytes",
    "last", "verified", "stopping", "policy_best", "test", "trajectory", "environment", "timing",
    "evaluations", "checksum",
]  # fmt: skip


@pytest.fixture(scope="module")
def record(default_run):
    return json.loads((default_run[1] / "run.json").read_text())


def test_it_completes_verified_and_stops_before_max_epochs(default_run, record):
    done, _ = default_run
    assert done.returncode == 0, done.stderr
    assert record["status"] == "completed"
    assert record["verified"] == {"score": record["best_model_score"], "abs_diff": 0.0, "exact": True}
    assert record["stopping"]["reason"] == "patience_exhausted"
    assert record["timing"]["epochs_trained"] < 100
    assert record["test"]["test_acc"] >= 0.95


def test_the_record_holds_every_key_of_the_design_in_its_order(record):
    assert list(record) == DESIGN_KEYS
    assert record["trajectory"] is None, "null means that it did not happen"
    assert record["error"] is None
    assert set(record["stopping"]) == {"policy", "stopped_epoch", "checks", "reason", "message"}
    assert {"git_sha", "git_dirty", "versions", "argv", "host"} <= set(record["environment"])
    assert set(record["timing"]) == {"started", "finished", "seconds", "epochs_trained"}


def test_the_run_leaves_the_files_of_the_design(default_run):
    _, run_dir = default_run
    files = {path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*") if path.is_file()}
    assert files == {
        ".lock", ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml",
        "config.yaml", "run.json", "metrics.csv", "curve.png", "train.log",
        "checkpoints/best.ckpt", "checkpoints/last.ckpt",
    }  # fmt: skip
    assert "=" not in run_dir.name
    assert (run_dir.parents[1] / "latest").resolve() == run_dir.resolve()
    assert (run_dir / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_record_is_written_last(default_run):
    _, run_dir = default_run
    times = {
        path: path.stat().st_mtime_ns for path in run_dir.rglob("*") if path.is_file() and path.name != "train.log"
    }
    assert max(times, key=times.get).name == "run.json"


def test_the_numbers_of_record_and_metrics_agree(default_run, record):
    metrics = pd.DataFrame(read_metrics(default_run[1] / "metrics.csv"))
    assert list(metrics.epoch) == list(range(record["timing"]["epochs_trained"])), "one row per epoch"
    assert len(metrics) == record["stopping"]["checks"]
    best = metrics.loc[metrics.val_loss.idxmin()]
    assert (best.val_loss, best.epoch, best.step) == (
        record["best_model_score"],
        record["best_epoch"],
        record["best_step"],
    )
    assert record["stopping"]["stopped_epoch"] == metrics.epoch.iloc[-1]
    waited = record["stopping"]["stopped_epoch"] - record["policy_best"]["epoch"]
    assert waited == record["stopping"]["policy"]["patience"] == 5
    assert metrics.notna().all(axis=None), "every epoch has its training and its validation metrics"


def test_a_person_sees_config_improvements_and_result(default_run, record):
    done, run_dir = default_run
    shown = done.stdout
    assert "├── objective" in shown, "the composed config, as a tree"
    assert "│   ├── monitor: val_loss" in shown
    improvements = [line for line in shown.splitlines() if line.startswith("epoch ")]
    metrics = pd.read_csv(run_dir / "metrics.csv")
    running_best = metrics.val_loss.cummin()
    assert len(improvements) == (running_best.diff().fillna(-1) < 0).sum(), "one line per improvement"
    relative = run_dir.relative_to(run_dir.parents[2])
    assert f"checkpoint  {relative}/checkpoints/best.ckpt" in shown
    assert f'model = keepbest.open_run("{relative}").load_model()' in shown
    assert "patience exhausted, in epoch" in shown
    assert "test_acc" in shown
    assert "\r" not in shown, "no progress bar in a pipe"
    assert "Traceback" not in shown + done.stderr
    assert "GPU available" not in shown + done.stderr, "Lightning's chatter goes to the log"
    assert "GPU available" in (run_dir / "train.log").read_text()


def test_both_checkpoints_hold_nothing_but_tensors_and_plain_containers(default_run):
    import torch

    for name in ("best", "last"):
        path = default_run[1] / "checkpoints" / f"{name}.ckpt"
        assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
        content = torch.load(path, weights_only=True)
        assert content["hyper_parameters"]["input_shape"] == [1, 8, 8], "sizes learnt from the data are kept"
        assert content["optimizer_states"], "what a resumed training needs is there"
    assert math.isfinite(content["epoch"])


def test_the_last_checkpoint_is_that_of_the_last_epoch(default_run, record):
    import torch

    content = torch.load(default_run[1] / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["epoch"] == record["timing"]["epochs_trained"] - 1
