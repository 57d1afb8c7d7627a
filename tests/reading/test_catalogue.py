"""Listing runs and sweeps: what is found, what is shown of it, conditions and orders, and what cannot be read."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import keepbest
from keepbest.checkpoints.hashing import sha256_of
from keepbest.composition.resolved import write_config
from keepbest.errors import ConfigError
from keepbest.reading import moments
from keepbest.reading.catalogue import listed
from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus, Stopping, Timing
from keepbest.records.store import write_record

ACCURACY = Objective("val_acc", "max")


@pytest.fixture
def outputs(tmp_path) -> Path:
    (tmp_path / "outputs" / "runs").mkdir(parents=True)
    return tmp_path / "outputs"


@pytest.fixture
def make_run(outputs):
    """Write a run that nobody trained, with its config."""

    def make(name: str, score: float | None = 0.5, config: dict | None = None, day: int = 1, **facts) -> Path:
        directory = outputs / "runs" / name
        directory.mkdir(parents=True)
        overrides = facts.pop("overrides", ["seed=1"])
        if config is not None:
            write_config(directory, config)
        record = RunRecord(
            id=name,
            status=RunStatus.COMPLETED,
            objective=Objective("val_loss", "min"),
            seed=1,
            environment=Environment(None, None, {}, ["keepbest train", *overrides], "host", "/"),
            config_sha256=None if config is None else sha256_of(directory / "config.yaml"),
            best_model_score=score,
            best_epoch=None if score is None else 3,
            stopping=Stopping({}, 8, 9, "patience_exhausted", None),
            timing=Timing(f"2026-11-{day:02}T10:00:00+00:00", None, 1.0, 9),
        )
        write_record(directory, dataclasses.replace(record, **facts))
        return directory

    return make


def config(patience: int | None = 5, lr: float = 0.1, **more) -> dict:
    early_stopping = {} if patience is None else {"early_stopping": {"patience": patience, "mode": "min"}}
    return {"model": {"_target_": "M", "optimizer": {"lr": lr}}, "callbacks": early_stopping, "seed": 1, **more}


def names(outputs: Path, **options) -> list[str]:
    return [row.name.removeprefix("runs/") for row in listed(outputs, **options)]


def test_the_table(outputs, make_run, make_sweep, fake_job):
    make_run("a", 0.5, day=2, overrides=["seed=1", "hydra.run.dir=x", "-m", "+x.y=2"])
    make_run("b", None, day=3, status=RunStatus.PENDING, stopping=None, timing=Timing(None, None, None, None))
    sweep = make_sweep([fake_job(["p=1", "q=1"], 0.4), fake_job(["p=2", "q=1"], 0.3), fake_job(["p=3", "q=1"], 0.2,
                       status="failed")])  # fmt: skip
    shutil.move(sweep, outputs / "sweep")
    table = keepbest.list_runs(outputs)
    assert list(table.columns) == [
        "name", "kind", "status", "monitor", "mode", "score", "best_epoch", "stopped_epoch", "reason",
        "epochs_trained", "started", "overrides", "varying", "path", "problem",
    ]  # fmt: skip
    rows = {row["name"]: row for row in table.to_dict("records")}
    assert rows["runs/a"] | {"started": None} == {
        "name": "runs/a", "kind": "run", "status": "completed", "monitor": "val_loss", "mode": "min", "score": 0.5,
        "best_epoch": 3, "stopped_epoch": 8, "reason": "patience_exhausted", "epochs_trained": 9, "started": None,
        "overrides": "seed=1 x.y=2", "varying": None, "path": str(outputs / "runs/a"), "problem": None,
    } | {name: rows["runs/a"][name] for name in ("problem", "varying")}  # fmt: skip
    assert rows["runs/a"]["started"] == pd.Timestamp("2026-11-02T10:00:00Z")
    assert str(table["score"].dtype) == "Float64"
    assert str(table["best_epoch"].dtype) == "Int64"
    assert pd.isna([rows["runs/b"][name] for name in ("score", "best_epoch", "stopped_epoch", "started")]).all()
    assert rows["sweep"]["status"] == "2 completed, 1 failed"
    assert (rows["sweep"]["kind"], rows["sweep"]["score"]) == ("sweep", 0.3), "a sweep has its best job's results"
    assert (rows["sweep"]["overrides"], rows["sweep"]["varying"]) == ("p=2 q=1", "p")
    assert names(outputs, where="'p' in varying") == ["sweep"]
    assert keepbest.list_runs(outputs, where="kind=='job'").empty


def test_paths_are_those_that_other_commands_take(outputs, make_run, monkeypatch):
    make_run("a")
    monkeypatch.chdir(outputs.parent)
    assert [row.path for row in listed("outputs")] == ["outputs/runs/a"]
    assert [row.path for row in listed("outputs/runs/a")] == ["outputs/runs/a"]
    assert [row.path for row in listed(".")] == ["outputs/runs/a"]
    assert keepbest.open_run(listed("outputs")[0].path).directory == outputs / "runs" / "a"


def test_a_sweep_is_one_row_unless_its_jobs_are_asked_for(outputs, make_sweep, fake_job):
    jobs = [fake_job([f"p={i}"], 1 - i / 20) for i in range(12)]
    shutil.move(make_sweep([*jobs, fake_job(["p=12"], record=None, status="pending")]), outputs / "sweep")
    assert names(outputs) == ["sweep"]
    assert names(outputs, jobs=True) == [f"sweep/{i}" for i in range(13)]
    assert names(outputs / "sweep") == [str(i) for i in range(13)]
    assert names(outputs / "sweep", sort="score") == [*[str(i) for i in range(11, -1, -1)], "12"]
    assert names(outputs, jobs=True, where="p>=10 and status=='completed'") == ["sweep/10", "sweep/11"]


def test_a_sweep_without_a_best_job_has_no_results(outputs, make_sweep, fake_job):
    several = [fake_job(["o=1"]), fake_job(["o=2"], record={"objective": ACCURACY})]
    shutil.move(make_sweep(several, "several"), outputs / "several")
    shutil.move(make_sweep([fake_job(["p=1"], status="failed")], "failed"), outputs / "failed")
    shutil.move(make_sweep([], "empty"), outputs / "empty")
    rows = {row.name: row for row in listed(outputs)}
    assert {name: row.status for name, row in rows.items()} == {
        "several": "completed", "failed": "failed", "empty": "no jobs",
    }  # fmt: skip
    assert [row.score for row in rows.values()] == [None] * 3
    assert names(outputs, where="score > 0") == []


def test_newest_first(outputs, make_run):
    for name, day in (("b", 2), ("a", 3), ("c", 1)):
        make_run(name, day=day)
    old = make_run("d", timing=Timing("the day before", None, None, None))
    os.utime(old / "run.json", (0, 0))
    assert names(outputs) == ["a", "b", "c", "d"]
    assert names(outputs, reverse=True) == ["d", "c", "b", "a"]


def test_by_score_each_objective_in_its_own_direction(outputs, make_run):
    make_run("loss 2", 0.2, day=9)
    make_run("loss 1", 0.1, day=8)
    make_run("acc 1", 0.9, day=7, objective=ACCURACY)
    make_run("acc 2", 0.8, day=6, objective=ACCURACY)
    make_run("failed", 0.01, day=5, status=RunStatus.FAILED)
    make_run("none", None, day=10)
    make_run("nan", float("nan"), day=4)
    assert names(outputs, sort="score") == ["loss 1", "loss 2", "failed", "acc 1", "acc 2", "none", "nan"]


def test_by_a_setting_what_lacks_it_last(outputs, make_run):
    for name, patience, lr in (("a", 5, 1.0), ("b", None, 0.5), ("c", 1, 2.0)):
        make_run(name, config=config(patience, lr))
    assert names(outputs, sort="patience") == ["c", "a", "b"]
    assert names(outputs, sort="patience", reverse=True) == ["a", "c", "b"]
    assert names(outputs, sort="model.optimizer.lr") == ["b", "a", "c"]
    assert names(outputs, sort="name", reverse=True) == ["c", "b", "a"]


WHERE = {
    "patience>=5 and status=='completed'": ["five", "plateau"],
    "not patience>=5": ["none", "two"],
    "callbacks.early_stopping.patience == 2": ["two"],
    "optimizer.lr < 0.1": ["two"],
    "model.optimizer.lr == 0.1 and epochs == 9 and stop_epoch > best_epoch": ["five", "none", "plateau"],
    "model.scheduler is not null": ["plateau"],
    "model.scheduler.patience == 1": ["plateau"],
    "model == 'cnn'": ["two"],
    "model == 'mlp'": ["five"],
    "optimizer == 'sgd' or model/optimizer == 'adam'": ["five", "two"],
    "started < '2026-11-03'": ["five", "none"],
    "'_loss' in monitor and 'seed=3' in overrides": ["plateau"],
    "seed == 1": ["five", "none", "plateau", "two"],
}


@pytest.mark.parametrize(("where", "found"), WHERE.items())
def test_conditions(outputs, make_run, where, found):
    """A setting is meant as the resolved config has it; `patience` is that of early stopping, whatever else has one."""
    five = make_run("five", config=config(5), day=1)
    make_run("none", config=config(None), day=2)
    make_run("two", config=config(2, 0.01), day=3, overrides=["model=cnn", "model/optimizer=sgd"])
    scheduled = config(9)
    scheduled["model"]["scheduler"] = {"patience": 1}
    make_run("plateau", config=scheduled, day=4, overrides=["seed=3"])
    (five / ".hydra").mkdir()
    choices = "      model: mlp\n      model/optimizer: adam\n      hydra: keepbest\n"
    (five / ".hydra" / "hydra.yaml").write_text(f"hydra:\n  runtime:\n    choices:\n{choices}  x: 1\n")
    assert sorted(names(outputs, where=where)) == found


def test_names_that_mean_nothing_or_too_much(outputs, make_run):
    assert names(outputs, where="anything == 1") == []
    make_run("a", config={**config(), "data": {"x": {"size": 1}, "y": {"size": 2}}})
    with pytest.raises(ConfigError, match=r"got 'patienc'\. Did you mean 'patience'\?"):
        names(outputs, where="patienc == 1")
    with pytest.raises(ConfigError, match=r"got 'stat'"):
        names(outputs, sort="stat")
    with pytest.raises(ConfigError, match=r"runs/a has 2: data\.x\.size, data\.y\.size, got 'size'"):
        names(outputs, where="size == 1")
    with pytest.raises(ConfigError, match="runs are listed of a directory, got"):
        names(outputs / "nowhere")


def test_the_end_of_a_key_is_that_of_each_run(outputs, make_run):
    """A run of another kind in the same place takes no name away."""
    make_run("ours", config=config(lr=0.01))
    make_run("foreign", config={"model": {"lr": 0.01}})
    make_run("whole", config={"lr": 0.01, "x": {"lr": 3}})
    make_run("without", config={"x": 1})
    assert sorted(names(outputs, where="lr == 0.01")) == ["foreign", "ours", "whole"]
    make_run("both", config={"model": {"lr": 0.01}, "optimizer": {"lr": 0.01}})
    with pytest.raises(ConfigError, match=r"runs/both has 2: model\.lr, optimizer\.lr, got 'lr'"):
        names(outputs, where="lr == 0.01")


def test_an_option_in_quotes_is_found_where_the_config_has_null(outputs, make_run):
    off = make_run("off", config={"callbacks": {"early_stopping": None}})
    on = make_run("on", config=config(5))
    for directory, lines in (
        (off, "      callbacks/early_stopping: 'off'\n      model: \"1\"\n      sweep: many\n      x: null\n"),
        (on, "      callbacks/early_stopping: simple\n      model: 'yes'\n      sweep: null\n      x: 'null'\n"),
    ):
        (directory / ".hydra").mkdir()
        (directory / ".hydra" / "hydra.yaml").write_text(f"hydra:\n  runtime:\n    choices:\n{lines}")
    found = {
        "early_stopping == 'off'": ["off"], "callbacks/early_stopping == 'off'": ["off"],
        "early_stopping is null": ["off"], "callbacks.early_stopping is not null": ["on"],
        "early_stopping == 'simple'": ["on"], "model == '1'": ["off"], "model == 'yes'": ["on"],
        "sweep == 'many'": ["off"], "sweep is null": ["on"], "x is null": ["off"], "x == 'null'": ["on"],
    }  # fmt: skip
    assert {where: names(outputs, where=where) for where in found} == found


ZONES = {"UTC": "2026-11-22 23:30", "Asia/Tokyo": "2026-11-23 08:30", "America/New_York": "2026-11-22 18:30"}


@pytest.mark.parametrize(("zone", "local"), ZONES.items())
def test_a_time_is_local_and_compared_as_far_as_it_is_written(outputs, make_run, zone, local, monkeypatch):
    make_run("a", day=1)
    make_run("b", timing=Timing("2026-11-22T23:30:41.5+00:00", None, 1.0, 9))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        (start,) = (row.started for row in listed(outputs, where="name=='runs/b'"))
        shown = moments.shown(start)
        assert shown == local
        day = shown[:10]
        exact = start.isoformat()
        for where in (f"started=='{shown}'", f"started=='{day}'", f"started>='{day}'", f"'{shown}'==started",
                      f"started>'{day[:8]}01'", f"started in ['{shown.replace(' ', 'T')}']", f"started=='{exact}'",
                      f"'{day}' in started", "started>'2026-11-01' and started!='2025'"):  # fmt: skip
            assert names(outputs, where=where) == ["b"], where
        assert names(outputs, where=f"started<'{day}'") == ["a"]
        assert names(outputs, where=f"started>'{day}'") == []
        assert sorted(names(outputs, where=f"started<='{day}'")) == ["a", "b"]
        assert names(outputs, sort="started") == ["a", "b"]
        with pytest.raises(ConfigError, match="a time is compared with a text such as"):
            names(outputs, where="started < 'yesterday'")
    finally:
        monkeypatch.undo()
        time.tzset()


SENSELESS = {
    "patience == '5'": "patience is a number in every run, and is compared with numbers, got '5'",
    "patience > 'a'": "patience is a number in every run",
    "patience in ['5', '6']": "patience is a number in every run",
    "5 == status": "status is a text in every run, and is compared with texts, got 5",
    "score or status == 'x'": "a name alone must be true or false in a run; compare it with something, got 'score'",
    "not patience": "a name alone must be true or false",
}


@pytest.mark.parametrize(("where", "text"), SENSELESS.items())
def test_what_no_run_can_meet_is_said(outputs, make_run, where, text):
    make_run("a", config=config(5))
    make_run("b", None, config=config(None))
    with pytest.raises(ConfigError) as refusal:
        names(outputs, where=where)
    assert text in str(refusal.value)
    assert names(outputs, where="patience in ['5', 5]") == ["a"]


def test_overrides_are_those_of_the_run_not_of_its_sweep(outputs, make_sweep, fake_job, edit_record):
    """A job that is listed alone is told by its sweep, one that was copied away by what Hydra noted beside it."""
    shutil.move(make_sweep([fake_job([f"a.p={i}", "q=1"]) for i in range(2)]), outputs / "sweep")
    job = outputs / "sweep" / "1"
    (row,) = listed(job)
    assert (row.kind, row.overrides, row.varying) == ("job", {"a.p": "1", "q": "1"}, ("a.p",))
    shutil.copytree(job, outputs / "runs" / "copy")
    environment = json.loads((job / "run.json").read_text())["environment"] | {"argv": ["keepbest", "-m", "argv=1"]}
    edit_record(outputs / "runs" / "copy", environment=environment)
    assert listed(outputs / "runs")[0].overrides == {"argv": "1"}
    (outputs / "runs" / "copy" / ".hydra").mkdir()
    noted = outputs / "runs" / "copy" / ".hydra" / "overrides.yaml"
    noted.write_text("- a.p=1\n- 'x=[1,2]'\n- '+b=\"a: 1\"'\n- hydra.run.dir=x\n")
    assert listed(outputs / "runs")[0].overrides == {"a.p": "1", "x": "[1,2]", "b": '"a: 1"'}
    hostile = ("- !!python/object/apply:os.system [a=1]\n", "- !x a=1\n", "- &x a=1\n- *x\n", "- [a=1]\n", "a: b=1\n",
               "- a=1\n---\n- b=1\n", "a=1\n", "[" * 9000, "- a=1\n" * 20000, "- 'a=1\n", "\0", "")  # fmt: skip
    for text in hostile:
        noted.write_text(text)
        assert listed(outputs / "runs")[0].overrides == {"argv": "1"}, text[:40]
    (outputs / "sweep" / "sweep.json").write_text("{}")
    assert listed(job)[0].kind == "run"


def test_how_far_a_training_is_that_has_no_result(outputs, make_run):
    running = make_run("a", None, status=RunStatus.RUNNING, stopping=None, timing=Timing("2026-11-22T10:00:00", None))
    table = running / "metrics.csv"
    for text, epochs in (("epoch,step,x\n0,1,2\n11,9,1\n", 12), ("epoch,step\n3,1\n44,", 4), ("epoch,step\n", None),
                         ("", None), ("x\n-1,2\n", None), (f"epoch,step\n{'9' * 99},1\n", None),
                         ("epoch,step\n" + "7,1\n" * 99999, 8)):  # fmt: skip
        table.write_text(text)
        assert listed(outputs)[0].value("epochs_trained") == epochs, text[:30]
    assert names(outputs, where="epochs == 8") == ["a"]
    table.unlink()
    os.mkfifo(table)
    assert listed(outputs)[0].value("epochs_trained") is None


def test_what_is_no_text_is_refused(outputs, make_run):
    make_run("a")
    for wrong in ({"where": 3}, {"sort": 3}, {"sort": ["score"]}):
        with pytest.raises(ConfigError, match="got"):
            keepbest.list_runs(outputs, **wrong)
    with pytest.raises(ConfigError, match="runs are listed of a directory"):
        keepbest.list_runs(3)


def test_configs_are_not_read_unless_a_condition_names_a_setting(outputs, make_run):
    directory = make_run("a", config=config())
    (directory / "config.yaml").unlink()
    os.mkfifo(directory / "config.yaml")  # reading it would never end
    assert names(outputs, where="score < 1", sort="epochs") == ["a"]
    with pytest.raises(ConfigError, match="or a setting that a run has"):
        names(outputs, where="patience == 1")


def test_what_cannot_be_read_is_a_row_that_says_why(outputs, make_run, make_sweep, fake_job, tmp_path):
    make_run("good")
    (make_run("edited") / "run.json").open("a").write(" ")
    cut = make_run("cut") / "run.json"
    cut.write_bytes(cut.read_bytes()[:99])
    secret = tmp_path / "secret.json"
    shutil.move(make_run("link") / "run.json", secret)
    (outputs / "runs" / "link" / "run.json").symlink_to(secret)
    (make_run("device") / "run.json").unlink()
    os.mkfifo(outputs / "runs" / "device" / "run.json")
    with (make_run("huge") / "run.json").open("ab") as file:
        file.truncate(1 << 30)
    (outputs / "runs" / "directory" / "run.json").mkdir(parents=True)
    (outputs / "runs" / "sweep").mkdir()
    (outputs / "runs" / "sweep" / "sweep.json").write_text("{}")
    sweep = make_sweep([fake_job(["p=1"]), fake_job(["p=2"])])
    (sweep / "1" / "run.json").write_text("{}")
    shutil.move(sweep, outputs / "half")
    table = keepbest.list_runs(outputs, jobs=True).set_index("name")
    assert table.loc["runs/good", "status"] == "completed"
    problems = table[table["status"] == "unreadable"]["problem"].to_dict()
    reasons = {
        "runs/edited": "checksum", "runs/cut": "checksum", "runs/link": "must lie in its directory",
        "runs/device": "regular file", "runs/huge": "at most", "runs/directory": "regular file",
        "runs/sweep": "checksum", "half/1": "checksum",
    }  # fmt: skip
    assert problems.keys() == reasons.keys()
    assert [name for name, reason in reasons.items() if reason not in problems[name]] == []
    assert sorted(names(outputs, where="status == 'unreadable' and kind == 'sweep'")) == ["half", "sweep"]


def test_outputs_may_lie_elsewhere(outputs, make_run, make_sweep, fake_job, tmp_path, monkeypatch):
    """Links are followed right below the directory and one level deeper, each target once."""
    scratch = tmp_path / "scratch"
    (make_run("a").parent).rename(scratch)
    (scratch / "deep" / "deeper").mkdir(parents=True)
    (scratch / "deep" / "too_deep").symlink_to(make_run("far"))
    shutil.move(outputs / "runs" / "far", tmp_path / "far")
    (scratch / "deep" / "too_deep").unlink()
    (scratch / "deep" / "too_deep").symlink_to(tmp_path / "far")
    (outputs / "runs").rmdir()
    (outputs / "runs").symlink_to("../scratch")
    (outputs / "latest").symlink_to("runs/a")
    (outputs / "also").symlink_to(scratch)
    (outputs / "above").symlink_to("/")
    (scratch / "loop").symlink_to(scratch)
    (scratch / "gone").symlink_to("nowhere")
    sweep = make_sweep([fake_job(["p=1"], 0.4), fake_job(["p=2"], 0.3)], "elsewhere")
    (outputs / "sweeps").mkdir()
    (outputs / "sweeps" / "mine").symlink_to(sweep)
    (outputs / "sweeps" / "job").symlink_to(sweep / "1")
    monkeypatch.chdir(outputs.parent)
    found = {row.name: row for row in listed("outputs")}
    assert found.keys() == {"also/a", "sweeps/mine"}
    assert keepbest.open_sweep(found["sweeps/mine"].path).directory == sweep
    jobs = [row.path for row in listed("outputs", jobs=True, where="kind == 'job'")]
    assert jobs == ["outputs/sweeps/mine/0", "outputs/sweeps/mine/1"]
    assert all(Path(job, "run.json").is_file() for job in jobs)


def test_the_status_of_a_sweep_is_that_of_any_of_its_jobs(outputs, make_sweep, fake_job):
    shutil.move(make_sweep([fake_job(["p=1"]), fake_job(["p=2"], status="diverged")], "mixed"), outputs / "mixed")
    shutil.move(make_sweep([fake_job(["p=1"]), fake_job(["p=2"])], "good"), outputs / "good")
    found = {
        "status in ['failed', 'diverged']": ["mixed"], "status == 'diverged'": ["mixed"],
        "status == 'completed'": ["good", "mixed"], "status != 'diverged'": ["good"],
        "status not in ['failed', 'diverged']": ["good"], "not status == 'completed'": [],
        "status == '1 completed, 1 diverged'": ["mixed"], "'verge' in status": ["mixed"],
        "status in 'completed'": ["good", "mixed"], "status is not null": ["good", "mixed"],
    }  # fmt: skip
    assert {where: sorted(names(outputs, where=where)) for where in found} == found


def test_words_are_taken_as_they_are_printed_and_others_refused(outputs, make_run):
    make_run("patience")
    make_run("nan", stopping=Stopping({}, 1, 2, "non_finite", None))
    make_run("new", stopping=Stopping({}, 1, 2, "struck by lightning", None))
    found = {
        "reason == 'patience exhausted'": ["patience"], "reason == 'patience_exhausted'": ["patience"],
        "reason in ['not finite', 'max epochs']": ["nan"], "'non_finite' == reason": ["nan"],
        "reason != 'patience exhausted'": ["nan", "new"], "'finite' in reason": ["nan"],
        "'ce ex' in reason": ["patience"], "reason == 'struck by lightning'": ["new"],
    }  # fmt: skip
    assert {where: sorted(names(outputs, where=where)) for where in found} == found
    refused = {
        "status == 'complete'": r"status is one of pending, .*, got 'complete'\. Did you mean 'completed'\?",
        "reason in ['max_epochs', 'pacience']": r"reason is one of patience_exhausted, .*, got 'pacience'",
        "kind != 'runs'": r"kind is one of run, job, sweep, got 'runs'\. Did you mean 'run'\?",
        "'minimum' == mode": "mode is one of min, max, got 'minimum'",
    }
    for where, message in refused.items():
        with pytest.raises(ConfigError, match=message):
            names(outputs, where=where)


def test_a_table_of_nothing_has_the_types_of_any_other(outputs, make_run):
    empty = keepbest.list_runs(outputs)
    make_run("a")
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == keepbest.list_runs(outputs).dtypes.to_dict()
    assert "object" not in set(map(str, empty.dtypes))
    assert {name for name, kind in empty.dtypes.items() if kind == "Int64"} == {
        "best_epoch", "stopped_epoch", "epochs_trained",
    }  # fmt: skip


def test_a_shared_training_has_the_overrides_of_all_its_members(trained_sweep, tmp_path):
    shared = {row.name: row.overrides for row in listed(trained_sweep / "trajectories")}
    assert sorted(overrides["seed"] for overrides in shared.values()) == ["1", "2"]
    assert not any("callbacks.early_stopping.patience" in overrides for overrides in shared.values())
    assert keepbest.list_runs(trained_sweep / "trajectories", where="seed == 2").shape[0] == 1
    alone = shutil.copytree(trained_sweep / "trajectories", tmp_path / "alone")
    assert [row.overrides for row in listed(alone)] == [{}, {}], "no command line describes them"


def test_a_link_is_no_second_row_and_records_lead_nowhere_else(outputs, make_run, make_sweep, fake_job, tmp_path):
    make_run("a")
    (outputs / "latest").symlink_to("runs/a")
    (outputs / "loop").symlink_to(outputs)
    (outputs / ".hidden").mkdir()
    shutil.copytree(outputs / "runs" / "a", outputs / ".hidden" / "a")
    assert names(outputs) == ["a"]
    assert [row.path for row in listed(outputs / "latest")] == [str(outputs / "latest")]
    sweep = make_sweep([fake_job(["p=1"])])
    record = json.loads((sweep / "sweep.json").read_text())
    record.pop("checksum")
    record["jobs"][0]["directory"] = "../outputs/runs/a"
    from keepbest.records.store import sealed

    (sweep / "sweep.json").write_text(sealed(record))
    (row,) = listed(sweep)
    assert row.status == "unreadable"
    assert "inside it" in (row.problem or "")


def test_a_trained_sweep(trained_sweep):
    sweep = keepbest.open_sweep(trained_sweep)
    table = keepbest.list_runs(trained_sweep, sort="score")
    assert table["score"].tolist() == sweep.table(best_first=True)["score"].tolist()
    assert table["path"].tolist() == sweep.table(best_first=True)["path"].tolist()
    where = "patience>=3 and seed==1 and optimizer=='adam' and model=='mlp' and trainer=='cpu'"
    (row,) = listed(trained_sweep, where=where)
    assert row.overrides["callbacks.early_stopping.patience"] == "3"
    settings = keepbest.compare([trained_sweep / "0", trained_sweep / "3"]).attrs["settings"]
    assert settings == ["callbacks.early_stopping.patience", "seed"]


def test_nothing_is_written(outputs, make_run):
    def seen() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in outputs.rglob("*"))

    make_run("a", config=config(), status=RunStatus.RUNNING)
    before = seen()
    assert [row.status for row in listed(outputs, where="patience==5")] == ["interrupted"]
    assert seen() == before


def test_listing_loads_no_torch(outputs, make_run):
    make_run("a", config=config())
    code = (
        "import sys, keepbest; table = keepbest.list_runs(sys.argv[1], where='patience==5', sort='score');"
        "print(len(table), {'torch', 'lightning'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, outputs], capture_output=True, text=True, check=True)
    assert done.stdout == "1 set()\n"
