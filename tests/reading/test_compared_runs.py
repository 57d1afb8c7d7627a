"""Runs side by side: what differs, which is best, and what cannot be compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

import keepbest
from keepbest.checkpoints.hashing import sha256_of
from keepbest.composition.resolved import write_config
from keepbest.errors import ConfigError, RecordError
from keepbest.reading.comparison import compared
from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus, Stopping, Timing, Verification
from keepbest.records.store import write_record


@pytest.fixture
def make_run(tmp_path):
    def make(name: str, score: float | None, config: dict | None = None, choices: str = "", **facts) -> Path:
        directory = tmp_path / name
        (directory / ".hydra").mkdir(parents=True)
        if choices:
            (directory / ".hydra" / "hydra.yaml").write_text(f"hydra:\n  runtime:\n    choices:\n{choices}")
        if config is not None:
            write_config(directory, config)
        record = RunRecord(
            id=name,
            status=RunStatus.COMPLETED,
            objective=Objective("val_loss", "min"),
            seed=1,
            environment=Environment(None, None, {}, ["keepbest train"], "host", "/"),
            config_sha256=None if config is None else sha256_of(directory / "config.yaml"),
            best_model_score=score,
            best_epoch=3,
            best_sha256=facts.pop("sha", "a" * 64),
            verified=Verification(score or 0.0, 0.0, True),
            test={"test_loss": 0.25},
            stopping=Stopping({}, 8, 9, "patience_exhausted", None),
            timing=Timing(None, None, 1.5, 9),
        )
        write_record(directory, dataclasses.replace(record, **facts))
        return directory

    return make


def test_the_table(make_run):
    one = make_run("one", 0.5, {"seed": 1, "model": {"width": 4, "sizes": [1]}})
    other = make_run("other", 0.25, {"seed": 2, "model": {"width": 4, "sizes": [2], "x": None}}, test={"status": 1.0})
    table = keepbest.compare([one, keepbest.open_run(other)])
    assert list(table.index) == [str(one), str(other)]
    assert list(table.columns) == [
        "status", "monitor", "mode", "score", "best", "best_epoch", "stopped_epoch", "reason", "epochs_trained",
        "seconds", "verified", "best_sha256", "test_loss", "test status", "seed", "model.sizes", "model.x",
    ]  # fmt: skip
    assert table.attrs["settings"] == ["seed", "model.sizes", "model.x"]
    assert table["best"].tolist() == [False, True]
    assert table["seed"].tolist() == [1, 2]
    assert table["model.sizes"].tolist() == [[1], [2]]
    assert pd.isna(table["test status"].iloc[0])
    assert table["verified"].tolist() == ["exact", "exact"]


def test_the_best_is_that_of_an_objective(make_run):
    acc = {"objective": Objective("val_acc", "max")}
    runs = [make_run("a", 0.5), make_run("b", 0.25), make_run("c", 0.25), make_run("d", 0.1, status=RunStatus.FAILED),
            make_run("e", 0.9, **acc), make_run("f", 0.8, **acc)]  # fmt: skip
    comparison = compared(runs)
    assert comparison.best == [False, True, True, False, True, False]
    assert compared([runs[0], runs[4]]).best == [False, False], "nothing to compare with"
    assert len(comparison.objectives) == 2


def test_equal_weights_are_seen(make_run):
    runs = [make_run("a", 0.5), make_run("b", 0.5, sha="b" * 64), make_run("c", 0.5), make_run("d", None, sha=None)]
    assert compared(runs).alike == [[0, 2]]


def test_options_of_groups_come_first_and_stand_for_their_classes(make_run):
    def choices(model):
        return f"      model: {model}\n      model/optimizer: adam\n      sweep: {model}\n"

    one = make_run("one", 0.5, {"model": {"_target_": "MLP", "width": 1}}, choices("mlp"))
    other = make_run("other", 0.5, {"model": {"_target_": "CNN"}}, choices("cnn"))
    assert list(compared([one, other]).settings) == ["model", "model.width"]
    third = make_run("third", 0.5, {"model": {"_target_": "Own"}}, choices("cnn"))
    assert list(compared([one, other, third]).settings) == ["model", "model._target_", "model.width"]


def test_a_sweep_stands_for_its_best_run(make_sweep, fake_job, make_run):
    sweep = make_sweep([fake_job(["p=1"], 0.5), fake_job(["p=2"], 0.25)])
    table = keepbest.compare([sweep, make_run("one", 0.3), keepbest.open_sweep(sweep), sweep / "0"])
    assert [Path(path).name for path in table.index] == ["1", "one", "1", "0"]
    assert table["best"].tolist() == [True, False, True, False]


def test_runs_may_be_given_one_by_one(make_run, make_sweep, fake_job):
    run, sweep = make_run("a", 0.5), make_sweep([fake_job(["p=1"]), fake_job(["p=2"])])
    listed = keepbest.compare([run, sweep])
    opened = keepbest.compare(keepbest.open_run(run), keepbest.open_sweep(sweep))
    for table in (keepbest.compare(run, str(sweep)), opened, keepbest.compare(path for path in (run, sweep))):
        assert table.equals(listed)


def test_an_option_that_makes_nothing_stands_for_null(make_run):
    off = make_run("off", 0.5, {"callbacks": {"early_stopping": None}}, "      callbacks/early_stopping: 'off'\n")
    on = {"callbacks": {"early_stopping": {"_target_": "E", "patience": 5}}}
    simple = make_run("on", 0.5, on, "      callbacks/early_stopping: simple\n")
    assert compared([off, simple]).settings == {"callbacks/early_stopping": ["off", "simple"]}
    plain = make_run("plain", 0.5, on)
    assert compared([off, plain]).settings == {"callbacks.early_stopping": [None, on["callbacks"]["early_stopping"]]}


def test_settings_that_follow_the_objective_are_left_out(make_run):
    def settings(monitor, mode, scheduler):
        kept = {"monitor": monitor, "mode": mode}
        callbacks = {"early_stopping": {**kept, "patience": 5}, "model_checkpoint": kept}
        return {"objective": kept, "callbacks": callbacks, "scheduler": {"monitor": scheduler}}

    one = make_run("a", 0.5, settings("val_loss", "min", "val_loss"))
    other = make_run("b", 0.5, settings("val_acc", "max", "train_loss"), objective=Objective("val_acc", "max"))
    assert compared([one, other]).settings == {"scheduler.monitor": ["val_loss", "train_loss"]}
    alike = make_run("c", 0.5, settings("val_loss", "max", "val_loss"))
    assert "callbacks.early_stopping.mode" in compared([one, alike]).settings


def test_a_config_that_cannot_be_read_leaves_the_results(make_run):
    runs = [make_run("a", 0.5, {"x": 1}), make_run("b", 0.25), make_run("c", 0.25, {"x": 2})]
    comparison = compared(runs)
    assert "config.yaml" in (comparison.runs[1].problem or "")
    assert list(comparison.settings) == ["x"]
    assert keepbest.compare(runs)["x"].tolist()[::2] == [1, 2]


def test_what_cannot_be_compared(make_run, make_sweep, fake_job, tmp_path):
    run = make_run("a", 0.5)
    for paths in ([run], [], run, str(run), 3, keepbest.open_run(run)):
        with pytest.raises(ConfigError, match="at least two runs are compared"):
            keepbest.compare(paths)
    for wrong in (tmp_path / "nowhere", tmp_path, 3, None):
        with pytest.raises(ConfigError, match="a run or sweep must be"):
            keepbest.compare(run, wrong)
    with pytest.raises(RecordError, match="this sweep has none"):
        keepbest.compare([run, make_sweep([fake_job(["p=1"], status="failed")])])
