"""`keepbest.replay`: where histories come from, what is refused, and what is said of several of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import keepbest
from keepbest.errors import ConfigError, IntegrityError
from keepbest.reading.replay import Replay
from keepbest.records.metrics_table import MetricsTable, read_checks
from keepbest.records.run_record import RunStatus
from keepbest.records.store import read_record, read_sweep, write_sweep
from keepbest.records.sweep_record import SweepJob, SweepRecord

LOSSES = [1.0, 0.5, 0.625, 0.375, 0.75, 0.75, 0.25, 0.875]
SETTINGS: dict[str, Any] = {"patience": range(1, 4), "min_delta": [0, 0.25]}
STOPS = [2, 2, 5, 3, None, 4]  # of LOSSES under SETTINGS; None where the history ends first

CSVS = {
    "tensorboard": "Wall time,Step,Value\n" + "".join(f"170.5,{17 * i},{v}\n" for i, v in enumerate(LOSSES)),
    "csvlogger": "epoch,step,train_loss,val_loss\n"
    + "".join(f"{i},{17 * i},,{v}\n{i},{17 * i},0.5,\n" for i, v in enumerate(LOSSES)),
    "keras": "epoch,accuracy,val_loss\r\n" + "".join(f"{i},0.5,{v}\r\n" for i, v in enumerate(LOSSES)),
    "bare": "\ufeffval_loss\n" + "".join(f"{v}\n" for v in LOSSES),
}


def stops(history: Any, **facts: Any) -> list[int | None]:
    column = keepbest.replay(history, **SETTINGS, **facts).table()["stopped_epoch"]
    assert column.dtype == "Int64"
    return [None if pd.isna(value) else int(value) for value in column]


@pytest.mark.parametrize("kind", CSVS)
def test_tables_of_other_frameworks_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(CSVS[kind].encode())
    monitor = "val_loss" if kind in ("csvlogger", "keras") else None
    assert stops(path, mode="min", monitor=monitor) == STOPS
    assert stops(str(path), mode="min", monitor=monitor) == STOPS


def test_the_file_of_lightnings_own_logger_is_read(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(tmp_path, name=None, version="version_0")
    for epoch, loss in enumerate(LOSSES):
        logger.log_metrics({"epoch": epoch, "train_loss": 0.5}, step=17 * epoch + 15)
        logger.log_metrics({"epoch": epoch, "val_loss": float(np.float32(loss))}, step=17 * epoch + 16)
    logger.save()
    assert stops(tmp_path / "version_0" / "metrics.csv", mode="min", monitor="val_loss") == STOPS


SERIES = {
    "a list": LOSSES,
    "an array": np.array(LOSSES),
    "a column": pd.Series(LOSSES, name="val_loss"),
    "a table": pd.DataFrame({"val_loss": LOSSES}),
    "a table with epochs": pd.DataFrame({"epoch": range(8), "step": range(8), "val_loss": LOSSES}),
    "a list of one list": [LOSSES],
}


@pytest.mark.parametrize("history", SERIES.values(), ids=SERIES)
def test_numbers_in_memory_are_a_history(history: Any) -> None:
    assert stops(history, mode="min") == STOPS


def test_higher_may_be_better() -> None:
    assert stops([-value for value in LOSSES], mode="max") == STOPS


def test_numbers_of_a_table_are_compared_in_float32_unless_they_are_no_float32() -> None:
    """0.30000001192092896 is what float32 makes of 0.3: the table was float32, and so is the comparison."""
    single = [0.4000000059604645, 0.30000001192092896]
    for values, improves in ((single, False), ([0.4, 0.29999999999999993], True)):
        frame = pd.DataFrame({"val_loss": values})
        table = keepbest.replay(frame, patience=1, min_delta=0.1, mode="min").table()
        assert table["censored"].tolist() == [improves]


def test_a_nan_in_a_csv_is_a_check_and_an_empty_cell_is_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("epoch,val_loss\n0,1.0\n1,\n2,nan\n3,0.5\n")
    table = keepbest.replay(path, patience=5, mode="min").table()
    assert (table["reason"].item(), table["stopped_epoch"].item(), table["checks"].item()) == ("non_finite", 2, 2)


FORMS = {
    "semicolons": "epoch;val_loss\n0;1.0\n2;0.9\n4;0.95\n6;0.8\n",
    "tabs": "epoch\tval_loss\n0\t1.0\n2\t0.9\n4\t0.95\n6\t0.8\n",
    "a comment and empty lines": "# by hand\n\nepoch,val_loss\n0,1.0\n\n2,0.9\n4,0.95\n6,0.8\n",
    "another spelling": "Epoch,Step,val_loss\n0,1,1.0\n2,2,0.9\n4,3,0.95\n6,4,0.8\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_table_in_another_form_is_the_same_history(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    separator = next((mark for mark in ";\t" if mark in text), ",")
    frame = pd.read_csv(path, sep=separator, comment="#")
    for history in (path, frame):
        row = keepbest.replay(history, mode="min", patience=1).table().iloc[0]
        assert (row.stopped_epoch, row.epochs, row.epochs_saved, row.best_epoch) == (4, 5, 2, 2)


def test_the_last_line_of_a_log_that_goes_on_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("epoch,val_loss\n0,1.0\n1,0.9\n2")
    replay = keepbest.replay(path, mode="min", patience=1)
    assert replay.outcomes[0].trajectory.values.tolist() == [1.0, 0.9]
    assert replay.left_out == ["log.csv: its last line is not whole"]


def test_more_policies_than_memory_has_room_for_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"at most 100,000,000, got '1,000,000,000 policies on 1'\. Name fewer"):
        keepbest.replay([3, 2, 1], mode="min", patience=np.arange(10**6), min_delta=np.arange(1000))
    with pytest.raises(ConfigError, match="policies times histories"):
        keepbest.replay([[3, 2]] * 200, mode="min", patience=np.arange(10**6))


def test_a_nan_in_a_dataframe_could_be_either_and_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a NaN of 'val_loss' was measured.*dropna"):
        keepbest.replay(pd.DataFrame({"val_loss": [1.0, np.nan]}), patience=1, mode="min")


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "no mode": ("val_loss\n1\n", {}, r"mode must say which direction of val_loss .* going by the name, 'min'"),
    "no mode, no idea": ("zork\n1\n", {}, "mode must say .* Give mode 'min' or 'max'"),
    "a wrong mode": ("val_loss\n1\n", {"mode": "auto"}, "mode must be 'min' or 'max', got 'auto'"),
    "several metrics": ("a,b\n1,2\n", {"mode": "min"}, "monitor must name the column .* one of a, b"),
    "a misspelt metric": (
        "val_loss,b\n1,2\n", {"mode": "min", "monitor": "val_los"}, "got 'val_los'. Did you mean 'val_loss'",
    ),
    "a counter": ("epoch,val_loss\n0,1\n", {"mode": "min", "monitor": "epoch"}, "must name a column .* with a metric"),
    "no metric": ("epoch,step\n0,1\n", {"mode": "min"}, "which has 0 that may be meant"),
    "a word": ("val_loss\n1\nfoo\n", {"mode": "min"}, r"must hold numbers, line 3, got 'foo'"),
    "decimal commas": ("epoch;val_loss\n0;1,5\n", {"mode": "min"}, r"line 2, got '1,5'\. Write decimals with a point"),
    "a short row": ("a,b\n\n1\n1,2\n", {"mode": "min", "monitor": "a"}, "as the row of names, 2; line 3 has 1"),
    "a short row at the end": ("a,b\n1,2\n1\n", {"mode": "min", "monitor": "a"}, "line 3 has 1"),
    "empty": ("", {"mode": "min"}, "must have a row of names, this one is empty"),
    "blank": ("\n# nothing\n\n", {"mode": "min"}, "this one is empty"),
    "names alone": ("a,b\n", {"mode": "min"}, "must have rows below the names"),
    "a name twice": ("a,b,a\n1,2,3\n", {"mode": "min"}, "must have different names, got 'a'"),
    "a part of an epoch": ("epoch,a\n0.5,2\n", {"mode": "min"}, "must hold whole numbers, from 0, got 0.5"),
    "no epoch": ("epoch,a\n,2\n", {"mode": "min"}, "must hold numbers, line 2, got ''"),
    "epochs that go back": ("epoch,a\n1,2\n0,3\n", {"mode": "min"}, "never go back"),
    "no text": ("\0", {"mode": "min"}, "."),
    "a negative min_epochs": ("a\n1\n", {"mode": "min", "min_epochs": -1}, "min_epochs must be a whole number"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "facts", "match"), REFUSED.values(), ids=REFUSED)
def test_a_table_that_is_not_clear_is_refused_with_a_remedy(
    text: str, facts: dict[str, Any], match: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=match):
        keepbest.replay(path, patience=1, **facts)


@pytest.mark.parametrize("history", ["nowhere", "a" * 5000, "~nobody_of_this_name/x", b"x", None, [], 3.0, [[], []]])
def test_what_is_no_history_is_refused(history: object) -> None:
    with pytest.raises(ConfigError, match="histor"):
        keepbest.replay(history, patience=1, mode="min")


def test_a_run_tells_metric_direction_and_checks(honest_run: Path) -> None:
    run = keepbest.open_run(honest_run)
    losses = run.metrics["val_loss"].tolist()
    for history in (run, honest_run, str(honest_run / "run.json"), honest_run / "metrics.csv"):
        replay = keepbest.replay(history, patience=[1, 99])
        assert (replay.objective.monitor, replay.objective.mode) == ("val_loss", "min")
        assert replay.outcomes[0].trajectory.values.tolist() == losses
        assert replay.table()["reason"].tolist()[1] == "max_epochs", "it was trained to its limit, which is everybody's"
    accuracy = keepbest.replay(run, patience=1, monitor="val_acc", mode="max")
    assert accuracy.outcomes[0].trajectory.values.tolist() == run.metrics["val_acc"].tolist()


def test_what_a_run_does_not_have_is_refused(honest_run: Path) -> None:
    with pytest.raises(ConfigError, match=r"mode must be that of the run's objective, val_loss \(min\)"):
        keepbest.replay(honest_run, patience=1, mode="max")
    with pytest.raises(ConfigError, match=r"got 'val_ac'\. Did you mean 'val_acc'"):
        keepbest.replay(honest_run, patience=1, monitor="val_ac", mode="max")
    with pytest.raises(ConfigError, match="one objective"):
        keepbest.replay([honest_run, LOSSES], patience=1, mode="min")


def test_a_damaged_run_is_refused(copied: Path) -> None:
    (copied / "metrics.csv").write_text("epoch,step,val_loss\n0,1,0.5\n")
    with pytest.raises(IntegrityError, match="a table of metrics must"):
        keepbest.replay(copied, patience=1)


def test_the_min_epochs_of_a_run_hold_at_the_end_of_each_epoch(copied: Path, edit_record: Callable[..., None]) -> None:
    """The second check of an epoch that validates twice completes it, the first does not."""
    table = MetricsTable(copied / "metrics.csv")
    table.restore([{"epoch": i // 2, "step": 5 * i, "val_loss": 1.0 + i} for i in range(6)])
    edit_record(copied, status="interrupted", metrics_sha256=None, stopping=None)
    text = (copied / "config.yaml").read_text()
    (copied / "config.yaml").write_text(text.replace("min_epochs: null", "min_epochs: 2"))
    assert "min_epochs: 2" in (copied / "config.yaml").read_text()
    assert keepbest.replay(copied, patience=1).table()["checks"].item() == 4
    assert keepbest.replay(copied, patience=1, min_epochs=0).table()["checks"].item() == 2


def test_settings_that_a_run_had_hold_unless_others_are_named(copied: Path, edit_record: Callable[..., None]) -> None:
    """As the run did: what is recommended is added to its own overrides."""
    table = MetricsTable(copied / "metrics.csv")
    table.restore(
        [{"epoch": i, "step": i, "val_loss": value} for i, value in enumerate([0.5, 1.0, 2.0, 0.25, 1.0, 1.0])]
    )
    edit_record(copied, status="interrupted", metrics_sha256=None, stopping=None)
    config = copied / "config.yaml"
    late = config.read_text().replace("start_from_epoch: 0", "start_from_epoch: 3")
    assert stop_of(copied, patience=1) == 1
    config.write_text(late)
    assert stop_of(copied, patience=1) == 4
    replay = keepbest.replay(copied, patience=1)
    assert replay.kept == {"start_from_epoch": 3}
    assert overrides(replay) == ["patience=1", "min_delta=0.0"], "the run has the other one"
    named = keepbest.replay(copied, patience=1, start_from_epoch=0)
    assert stop_of(copied, patience=1, start_from_epoch=0) == 1
    assert (named.kept, overrides(named)) == ({}, ["patience=1", "min_delta=0.0", "start_from_epoch=0"])
    config.write_text(late.replace("stopping_threshold: null", "stopping_threshold: 0.3"))
    replay = keepbest.replay(copied, patience=1)
    assert replay.table()["reason"].item() == "threshold_reached"
    without = keepbest.replay(copied, patience=1, stopping_threshold=None, check_finite=False)
    assert overrides(without)[2:] == ["stopping_threshold=null", "check_finite=false"]


def test_what_another_training_needs_apart_from_a_policy_is_recommended_too(
    copied: Path, edit_record: Callable[..., None]
) -> None:
    relate(copied, edit_record)
    config = copied / "config.yaml"
    text = config.read_text()
    accuracy = keepbest.replay(copied, patience=1, monitor="val_acc", mode="max", min_epochs=1)
    assert accuracy.recommend(9).overrides[:3] == [
        "objective.monitor=val_acc", "objective.mode=max", "trainer.min_epochs=1",
    ]  # fmt: skip
    config.write_text(text.replace("    min_delta: 0.0\n", "    min_delta: 0.02\n"))  # of the checkpoint callback
    accuracy = keepbest.replay(copied, patience=1, monitor="val_acc", mode="max")
    assert accuracy.recommend(9).overrides[2] == "callbacks.model_checkpoint.min_delta=0.0", "it is in the other's unit"
    config.write_text(without_early_stopping(text))
    assert keepbest.replay(copied, patience=1).recommend(9).overrides[0] == "callbacks/early_stopping=simple"


def test_thresholds_of_a_run_that_is_maximised_are_read(copied: Path, edit_record: Callable[..., None]) -> None:
    relate(copied, edit_record)
    edit_record(copied, objective={"monitor": "val_acc", "mode": "max"})
    config = copied / "config.yaml"
    text = config.read_text().replace("stopping_threshold: null", "stopping_threshold: 3.0")
    config.write_text(text.replace("divergence_threshold: null", "divergence_threshold: 0.3"))
    row = keepbest.replay(copied, patience=9).table().iloc[0]
    assert (row.reason, row.stopped_epoch) == ("diverged", 3)


def test_what_the_policy_accepted_is_kept_where_a_run_kept_that(copied: Path, edit_record: Callable[..., None]) -> None:
    """`restore_best_weights=policy_best` without a checkpoint callback."""
    rows = [{"epoch": i, "step": i, "val_loss": x} for i, x in enumerate([1.0, 0.5, 0.45, 0.6, 0.7])]
    MetricsTable(copied / "metrics.csv").restore(rows)
    edit_record(copied, status="interrupted", metrics_sha256=None, stopping=None)
    config = copied / "config.yaml"
    text = re.sub(r"(?s)(\n  model_checkpoint:)\n.*?(\n\w)", r"\1 null\2", config.read_text())
    config.write_text(text.replace("restore_best_weights: false", "restore_best_weights: policy_best"))
    kept = keepbest.replay(copied, patience=[2, 9], min_delta=[0.0, 0.1]).table()
    assert kept["score"].tolist() == [0.45, 0.5, 0.45, 0.5]
    assert kept["regret"].tolist() == pytest.approx([0.0, 0.05, 0.0, 0.05])


def without_early_stopping(config: str) -> str:
    text = re.sub(r"(?s)(\n  early_stopping:)\n.*?(\n  \w)", r"\1 null\2", config)
    assert "early_stopping: null" in text
    return text


def relate(run: Path, edit_record: Callable[..., None]) -> None:
    """Give a run another history."""
    rows = [{"epoch": i, "step": i, "val_loss": x, "val_acc": x} for i, x in enumerate([0.5, 1.0, 2.0, 0.25, 1.0, 1.0])]
    MetricsTable(run / "metrics.csv").restore(rows)
    edit_record(run, status="interrupted", metrics_sha256=None, stopping=None)


def stop_of(history: Any, **facts: Any) -> int:
    return int(keepbest.replay(history, **facts).table()["stopped_epoch"].item())


def overrides(replay: Replay) -> list[str]:
    best = replay.recommend(99)
    assert best is not None
    return [override.removeprefix("callbacks.early_stopping.") for override in best.overrides]


@pytest.fixture
def sweep(honest_run: Path, tmp_path: Path, edit_record: Callable[..., None]) -> Path:
    """A sweep without sharing: a run, its first check with another policy, another seed, and a job not begun."""
    environment = read_record(honest_run).environment
    for number in (0, 1, 2):
        shutil.copytree(honest_run, tmp_path / str(number))
    shortened, reseeded = tmp_path / "1", tmp_path / "2" / "config.yaml"
    lines = (shortened / "metrics.csv").read_text().splitlines(keepends=True)
    (shortened / "metrics.csv").write_text("".join(lines[:2]))
    config = shortened / "config.yaml"
    config.write_text(config.read_text().replace("patience: 5", "patience: 1"))
    edit_record(shortened, status="interrupted", metrics_sha256=None)
    reseeded.write_text(re.sub(r"(?m)^seed: \d+", "seed: 7", reseeded.read_text()))
    assert len({(tmp_path / str(number) / "config.yaml").read_text() for number in (0, 1, 2)}) == 3
    jobs = [SweepJob(number, str(number), [], "", None, None, RunStatus.PENDING) for number in range(4)]
    write_sweep(tmp_path, SweepRecord("a sweep", [], environment, jobs))
    return tmp_path


def test_each_distinct_training_of_a_sweep_is_one_history(sweep: Path) -> None:
    replay = keepbest.replay(sweep, patience=1)
    assert [one.trajectory.values.size for one in replay.outcomes] == [2, 2], "the shorter of two alike is left out"
    (left_out,) = replay.left_out
    assert left_out.startswith("job 3: a run directory must hold run.json")
    assert len(keepbest.replay(sweep / "sweep.json", patience=1).outcomes) == 2
    assert len(keepbest.replay(SimpleNamespace(directory=sweep), patience=1).outcomes) == 2, "a sweep that was opened"


def test_settings_in_which_the_jobs_of_a_sweep_differ_are_named(sweep: Path, edit_record: Callable[..., None]) -> None:
    for number in (0, 2):
        relate(sweep / str(number), edit_record)
    assert overrides(keepbest.replay(sweep, patience=1)) == ["patience=1", "min_delta=0.0"]
    config = sweep / "1" / "config.yaml"  # of a job that repeats another, and is left out
    config.write_text(config.read_text().replace("start_from_epoch: 0", "start_from_epoch: 3"))
    assert overrides(keepbest.replay(sweep, patience=1))[2:] == ["start_from_epoch=0"]


def test_the_jobs_that_share_a_training_say_how_it_was_stopped(sweep: Path, edit_record: Callable[..., None]) -> None:
    """Whether the sweep is replayed or its training: the latter has no early stopping of its own."""
    training = sweep / "trajectories" / "shared"
    shutil.copytree(sweep / "0", training)
    relate(training, edit_record)
    (training / "config.yaml").write_text(without_early_stopping((training / "config.yaml").read_text()))
    (training / "members.json").write_text("{}")
    record = read_sweep(sweep)
    jobs = [replace(job, trajectory="trajectories/shared") for job in record.jobs[:2]]
    write_sweep(sweep, replace(record, jobs=jobs))
    configs = [sweep / str(number) / "config.yaml" for number in (0, 1)]
    for config in configs:
        config.write_text(config.read_text().replace("start_from_epoch: 0", "start_from_epoch: 3"))
    for path in (sweep, training):
        replay = keepbest.replay(path, patience=1)
        assert (replay.kept, overrides(replay)) == ({"start_from_epoch": 3}, ["patience=1", "min_delta=0.0"])
    configs[0].write_text(configs[0].read_text().replace("start_from_epoch: 3", "start_from_epoch: 2"))
    for path in (sweep, training):
        replay = keepbest.replay(path, patience=1)
        assert (replay.kept, overrides(replay)[2:]) == ({}, ["start_from_epoch=0"])
    (sweep / "sweep.json").unlink()
    assert overrides(keepbest.replay(training, patience=1)) == [
        "callbacks/early_stopping=simple", "patience=1", "min_delta=0.0", "baseline=null", "start_from_epoch=0",
        "stopping_threshold=null", "divergence_threshold=null", "check_finite=true",
    ]  # fmt: skip


def test_a_sweep_without_its_shared_training_is_replayed_from_its_longest_job(sweep: Path) -> None:
    record = read_sweep(sweep)
    jobs = [replace(job, trajectory="trajectories/gone") for job in record.jobs[:2]]
    write_sweep(sweep, replace(record, jobs=jobs))
    (one,) = keepbest.replay(sweep, patience=1).outcomes
    assert one.trajectory.values.size == 2
    for number in (0, 1):
        shutil.rmtree(sweep / str(number))
    with pytest.raises(ConfigError, match="got 'training of jobs 0, 1: neither trajectories/gone nor the record of"):
        keepbest.replay(sweep, patience=1)


def test_runs_that_are_not_alike_are_averaged_with_a_note(honest_run: Path, copied: Path) -> None:
    config = copied / "config.yaml"
    text = config.read_text()
    config.write_text(re.sub(r"(?m)^seed: \d+", "seed: 7", text).replace("patience: 5", "patience: 9"))
    assert keepbest.replay([honest_run, copied], patience=1).differing == []
    config.write_text(re.sub(r"max_epochs: \d+", "max_epochs: 99", text).replace("models.MLP", "models.CNN"))
    assert keepbest.replay([honest_run, copied], patience=1).differing == ["model", "trainer.max_epochs"]


def test_trainings_without_a_finite_best_are_left_out_of_a_sweep(sweep: Path, edit_record: Callable[..., None]) -> None:
    table = MetricsTable(sweep / "2" / "metrics.csv")
    table.restore([{"epoch": 0, "step": 5, "val_loss": float("nan")}])
    edit_record(sweep / "2", metrics_sha256=None, status="interrupted")
    replay = keepbest.replay(sweep)
    assert len(replay.outcomes) == 1
    assert replay.left_out[0] == "job 2: it has no finite best val_loss"
    assert replay.recommend(1.0) is None or np.isfinite(replay.recommend(1.0).regret)
    alone = keepbest.replay(sweep / "2")
    assert alone.table()["reason"].unique().tolist() == ["non_finite"], "on its own it is replayed"
    assert alone.recommend(9.0) is None
    for number in (0, 1):
        shutil.copy(sweep / "2" / "metrics.csv", sweep / str(number) / "metrics.csv")
        edit_record(sweep / str(number), metrics_sha256=None, status="interrupted")
    with pytest.raises(ConfigError, match=r"there must be a history to replay, .*no finite best"):
        keepbest.replay(sweep)


def test_histories_that_differ_in_more_than_the_seed_are_named(sweep: Path) -> None:
    assert (keepbest.replay(sweep).differing, keepbest.replay(sweep).repeated) == ([], 1)
    record = read_sweep(sweep)
    overrides = [["model=mlp", "seed=0", "x=1", "callbacks.early_stopping.patience=1"],
                 ["model=mlp", "seed=0", "x=1", "callbacks.early_stopping.patience=2"], ["model=cnn", "seed=7", "x=1"],
                 ["model=unet", "x=2"]]  # fmt: skip
    jobs = [replace(job, overrides=given) for job, given in zip(record.jobs, overrides, strict=True)]
    write_sweep(sweep, replace(record, jobs=jobs))
    assert keepbest.replay(sweep).differing == ["model"]
    assert keepbest.replay([*[LOSSES] * 2], mode="min").differing == []


def test_patience_is_1_to_50_unless_it_is_named() -> None:
    assert keepbest.replay(LOSSES, mode="min").grid.patience.tolist() == list(range(1, 51))


def test_nothing_is_recommended_where_the_trainings_own_limit_comes_first(honest_run: Path) -> None:
    """The run has two checks, and its epochs are its limit."""
    limited = keepbest.replay(honest_run, patience=range(2, 9))
    assert limited.table()["reason"].unique().tolist() == ["max_epochs"]
    assert limited.is_limited
    axes = limited.plot().axes[0]
    assert axes.get_title(loc="left").endswith(
        "none is recommended: all policies end alike: the training's own limit came first"
    )
    low, high = axes.get_xlim()
    assert high - low >= 1
    assert all(tick == round(tick) for tick in axes.get_xticks())
    assert list(axes.get_yticks()) == [0], "no regret has no scale"
    assert limited.recommend(9.0) is None
    assert not keepbest.replay(LOSSES, patience=[1, 2], mode="min").is_limited
    assert not keepbest.replay(LOSSES, patience=99, mode="min").is_limited, "nobody knows what its limit was"


def test_a_sweep_that_leads_elsewhere_is_not_followed(sweep: Path, honest_run: Path) -> None:
    job = SweepJob(0, str(honest_run), [], "", None, None, RunStatus.PENDING)
    record = read_sweep(sweep)
    write_sweep(sweep, SweepRecord("a sweep", [], record.environment, [job]))
    with pytest.raises(ConfigError, match="must be relative to the run's directory"):
        keepbest.replay(sweep, patience=1)


def test_checks_are_told_from_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path)
    table.append(0, 5, {"val_loss": float("nan")})
    table.append(0, 9, {"train_loss": 1.0})
    table.append(1, 14, {"val_loss": 0.1})
    checks = read_checks(path, "val_loss")
    assert checks is not None
    assert [(check.epoch, check.step, check.ends_epoch) for check in checks] == [(0, 5, False), (1, 14, True)]
    assert np.isnan(checks[0].value)
    assert read_checks(path, "val_acc") is read_checks(path, "epoch") is None


def test_several_histories_give_means_and_worst_cases() -> None:
    better, worse = [1.0, 2.0, 3.0], [1.0, 2.0, 0.5, 3.0, 4.0]
    replay = keepbest.replay([better, worse], patience=[1, 2, 3], mode="min")
    table = replay.table()
    assert table["epochs"].tolist()[:2] == [2.0, 4.0]
    assert table["worst_epochs"].tolist()[:2] == [2.0, 5.0]
    assert table["regret"].tolist()[:2] == [0.25, 0.0]
    assert table["worst_regret"].tolist()[:2] == [0.5, 0.0]
    assert table["epochs_saved"].tolist()[:2] == [2.0, 0.0]
    assert table["censored"].tolist() == [0, 0, 2]
    assert table["epochs"].isna().tolist() == [False, False, True], "never guessed"
    assert table["epochs_at_least"].tolist() == [2.0, 4.0, 4.0]
    assert replay.table(1)["stopped_epoch"].tolist()[:2] == [1, 4]


def test_the_cheapest_policy_within_the_allowed_regret_is_recommended() -> None:
    replay = keepbest.replay([[1.0, 2.0, 3.0], [1.0, 2.0, 0.5, 3.0, 4.0]], patience=[3, 2, 1], mode="min")
    for allowed, patience in ((0.0, 2), (0.249, 2), (0.25, 1), (9.0, 1)):
        best = replay.recommend(allowed)
        assert best is not None
        assert best.policy.patience == patience
    assert replay.recommend(0.25).overrides == [
        "callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=0.0",
    ]  # fmt: skip
    assert keepbest.replay([1.0, 2.0, 0.5, 0.75], patience=1, mode="min").recommend() is None
    assert keepbest.replay([1.0, 0.5], patience=1, mode="min").recommend(9) is None, "its stop is not known"
    with pytest.raises(ConfigError, match="max_regret must"):
        replay.recommend(-1)


def test_of_equal_policies_the_least_patience_and_min_delta_are_recommended() -> None:
    replay = keepbest.replay([1.0, 9.0, 9.0], patience=1, min_delta=[0.5, 0.25], mode="min", baseline=[None, 5.0])
    best = replay.recommend()
    assert best is not None
    assert best.policy.min_delta == 0.25


def test_no_policy_of_the_pareto_front_is_beaten_and_every_other_is() -> None:
    random = np.random.default_rng(3)
    seeds = [np.exp(-np.arange(80) / 20) + random.normal(0, 0.03, 80) for _ in range(3)]
    replay = keepbest.replay(seeds, patience=range(1, 15), min_delta=[0, 0.01, 0.03], mode="min")
    known = replay.table().dropna(subset=["regret"])
    front = replay.pareto()
    points = set(zip(front["epochs"], front["regret"], strict=True))
    for epochs, regret in zip(known["epochs"], known["regret"], strict=True):
        beaten = ((known["epochs"] <= epochs) & (known["regret"] <= regret)
                  & ((known["epochs"] < epochs) | (known["regret"] < regret))).any()  # fmt: skip
        assert beaten != ((epochs, regret) in points)
    assert len(points) == len(front) > 1
    assert front["epochs"].is_monotonic_increasing


def test_the_front_is_drawn(tmp_path: Path) -> None:
    replay = keepbest.replay(LOSSES, patience=range(1, 5), mode="min")
    replay.plot(tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    nothing_known = keepbest.replay([1.0, 0.5], patience=1, mode="min").plot(tmp_path / "nothing_known.png").axes[0]
    assert [text.get_text() for text in nothing_known.texts] == ["no policy has both"]
    assert nothing_known.get_title(loc="left").endswith("none is recommended: no policy's stop is known")
    assert nothing_known.get_legend() is None


def test_a_million_policies_stay_small_and_load_no_torch() -> None:
    """Means of memory and time, with room; benchmarks/replay.py measures them."""
    code = """
import json, sys, time
from pathlib import Path
import keepbest
began = time.perf_counter()
keepbest.replay([1 / (i % 97 + 1 + i / 9) for i in range(1000)], patience=range(1, 1001),
                min_delta=[i / 1e5 for i in range(1000)], mode="min").recommend(0.1)
lines = Path("/proc/self/status").read_text().splitlines()  # ru_maxrss would count the process that started this one
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
print(json.dumps([time.perf_counter() - began, peak / 1e6,
                  sorted({"torch", "lightning", "pandas", "hydra"} & set(sys.modules))]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, gigabytes, loaded = json.loads(done.stdout)
    assert gigabytes > 0.01, "it was measured"
    assert seconds < 10
    assert gigabytes < 1
    assert loaded == []


def values_of(history: Any, **facts: Any) -> list[float]:
    (one,) = keepbest.replay(history, patience=1, mode="min", **facts).outcomes
    return one.trajectory.values.tolist()


UNFINISHED = {
    "a cell is missing": "epoch,val_loss\n0,1.0\n1,0.9\n2", "nothing": "epoch,val_loss\n0,1.0\n1,0.9\n2,",
    "a point": "epoch,val_loss\n0,1.0\n1,0.9\n2,0.", "a sign": "epoch,val_loss\n0,1.0\n1,0.9\n2,-",
    "an exponent": "epoch,val_loss\n0,1.0\n1,0.9\n2,1.2e", "its sign": "epoch,val_loss\n0,1.0\n1,0.9\n2,1.2e-",
    "a word": "epoch,val_loss\n0,1.0\n1,0.9\n2,na", "a quotation mark": 'epoch,val_loss\n0,1.0\n1,0.9\n2,"0.1',
    "only a quotation mark": 'epoch,val_loss\n0,1.0\n1,0.9\n"', "the epoch": "val_loss,epoch\n1.0,0\n0.9,1\n0.1,",
}  # fmt: skip


@pytest.mark.parametrize("text", UNFINISHED.values(), ids=UNFINISHED)
def test_a_last_row_that_may_go_on_is_no_measurement(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    replay = keepbest.replay(path, patience=1, mode="min", monitor="val_loss")
    assert replay.outcomes[0].trajectory.values.tolist() == [1.0, 0.9]
    assert replay.left_out == ["log.csv: its last line is not whole"]


WHOLE = {
    "a number": "epoch,val_loss\n0,1.0\n1,0.5", "a whole number": "epoch,val_loss\n0,1\n1,0.5",
    "a line end of Windows": "epoch,val_loss\r\n0,1.0\r\n1,0.5\r\n", "a point": "epoch,val_loss\n0,1.\n1,.5\n",
    "a column that is not used": "epoch,val_loss,note\n0,1.0,a\n1,0.5,the best",
    "a comment": "epoch,val_loss\n0,1.\n1,0.5\n# it's \"done", "no more": "epoch,val_loss\n0,1.\n1,0.5\n  ",
}  # fmt: skip


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE)
def test_a_last_row_that_is_whole_counts_with_and_without_a_line_end(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode())
    replay = keepbest.replay(path, patience=1, mode="min", monitor="val_loss")
    assert replay.outcomes[0].trajectory.values.tolist() == [1.0, 0.5]
    assert replay.left_out == []


LAYOUTS = {
    "marks in a quoted name": '"loss,a,b";"epoch"\n1.0;0\n0.5;2\n',
    "an index": ",epoch,val_loss\n0,0,1.0\n1,2,0.5\n", "two indices": ",,epoch,val_loss\n0,0,0,1.0\n0,1,2,0.5\n",
    "an index that was written twice": "Unnamed: 0,epoch,val_loss\n0,0,1.0\n1,2,0.5\n",
    "Excel's line": 'sep=;\n"a,b,c,d";epoch\n1.0;0\n0.5;2\n',
    "Excel's line with a BOM": "\ufeffsep=|\nx|epoch\n1.0|0\n0.5|2\n",
    "Excel's line with tabs": "SEP=\t\r\nx\tepoch\r\n1.0\t0\r\n0.5\t2\r\n",
    "comments": '# at the top\nepoch,val_loss\n0,1.0\n# "below", it\'s said\n  # and here\n2,0.5\n# at the end\n',
}  # fmt: skip


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_the_only_metric_is_found_in_any_layout(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode())
    replay = keepbest.replay(path, patience=1, mode="min")
    trajectory = replay.outcomes[0].trajectory
    assert (trajectory.values.tolist(), trajectory.epochs.tolist(), replay.left_out) == ([1.0, 0.5], [0, 2], [])


def test_a_table_that_went_through_a_file_of_pandas_is_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"epoch": [0, 2], "val_loss": [1.0, 0.5]})
    frame.to_csv(tmp_path / "table.csv")
    assert values_of(tmp_path / "table.csv") == values_of(pd.read_csv(tmp_path / "table.csv")) == values_of(frame)


def test_pythons_own_spelling_of_a_number_is_none_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("# a comment\nval_loss\n1.0\n# another\n1_5\n2.0\n")
    with pytest.raises(ConfigError, match=r"must hold numbers, line 5, got '1_5'"):
        values_of(path)


FRAMES = {
    "texts as epochs": ({"epoch": ["0", "1"], "a": [1, 0.5]}, r"whole numbers, from 0, got '0'\. .*pandas\.to_numeric"),
    "no epoch": ({"epoch": pd.array([0, None], "Int64"), "a": [1, 0.5]}, "must hold whole numbers"),
    "None as an epoch": ({"epoch": pd.Series([0, None], dtype=object), "a": [1, 0.5]}, "must hold whole numbers"),
    "a huge epoch": ({"epoch": pd.Series([0, 10**400], dtype=object), "a": [1, 0.5]}, "must hold whole numbers"),
    "texts": ({"a": ["1", "0.5"]}, r"column 'a' of a table must hold numbers, got '1'\. .*pandas\.to_numeric"),
    "a text": ({"a": pd.Series([1.0, "x"], dtype=object)}, "must hold numbers, got 'x'"),
    "no number of a float": ({"a": pd.Series([1, 10**400], dtype=object)}, "must hold numbers"),
    "times": ({"a": pd.to_datetime(["2026-11-22"])}, "must hold numbers"),
}


@pytest.mark.parametrize(("columns", "match"), FRAMES.values(), ids=FRAMES)
def test_a_dataframe_without_numbers_is_refused_with_a_remedy(columns: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        values_of(pd.DataFrame(columns))


def test_numbers_of_a_dataframe_count_whatever_their_column_says() -> None:
    for kind in (object, "Float64", "Float32", np.float32):
        frame = pd.DataFrame(
            {"epoch": pd.Series([0, 2, 4], dtype=object), "a": pd.Series([1.0, 0.5, 0.75], dtype=kind)}
        )
        (one,) = keepbest.replay(frame, patience=1, mode="min").outcomes
        assert (one.trajectory.epochs.tolist(), one.trajectory.precision) == ([0, 2, 4], np.float32), kind


def test_a_column_that_is_there_twice_is_refused_in_a_dataframe_too() -> None:
    frame = pd.DataFrame([[1.0, 9.0], [0.5, 8.0]], columns=["val_loss", "val_loss"])
    for monitor in (None, "val_loss"):
        with pytest.raises(ConfigError, match="columns of a table must have different names, got 'val_loss'"):
            values_of(frame, monitor=monitor)


def test_an_index_of_epochs_counts_unless_there_is_a_column() -> None:
    frame = pd.DataFrame({"fold": [1, 1], "epoch": [3, 5], "val_loss": [1.0, 0.5]})
    for indexed in (frame[["epoch", "val_loss"]].set_index("epoch"), frame.set_index(["fold", "epoch"]),
                    frame.drop(columns="fold").rename_axis(index="Epoch")):  # fmt: skip
        (one,) = keepbest.replay(indexed, patience=1, mode="min").outcomes
        assert one.trajectory.epochs.tolist() == [3, 5]
    with pytest.raises(ConfigError, match="column 'epoch' of a table must hold whole numbers"):
        values_of(pd.DataFrame({"val_loss": [1.0]}, index=pd.Index([0.5], name="epoch")))
