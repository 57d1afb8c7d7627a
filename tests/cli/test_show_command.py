"""`keepbest show`: a run or a sweep in the terminal, whoever made it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keepbest.cli.main import main as command_line
from keepbest.records.run_record import Environment, Failure, Objective, RunRecord, RunStatus, Stopping, Timing
from keepbest.records.store import sealed, write_record, write_sweep
from keepbest.records.sweep_record import SweepJob, SweepRecord

HOSTILE = "[red]x\x1b[31m\x1b]0;evil\x07\u202e"
ENVIRONMENT = Environment(None, None, {"torch": "2"}, ["keepbest train", "seed=1"], "host", "/")


@pytest.fixture
def said(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def show(status: int, *arguments: object) -> str:
        assert command_line(["show", *map(str, arguments)]) == status
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert not set(said.out + said.err) & set("\x1b\x07\u202e")
        return said.out if status == 0 else said.err

    return show


def write_run(directory: Path, **facts) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    record = RunRecord("id", RunStatus.COMPLETED, Objective("val_loss", "min"), 1, ENVIRONMENT, timing=Timing(None))
    write_record(directory, dataclasses.replace(record, **facts))
    return directory


@pytest.fixture(scope="module")
def trained(default_run, tmp_path_factory) -> Path:
    """A copy of what `keepbest train` left, in a place where there is nothing else."""
    return shutil.copytree(default_run[1], tmp_path_factory.mktemp("moved") / "run")


def edit(run_dir: Path, **changes) -> None:
    data = json.loads((run_dir / "run.json").read_text())
    data.pop("checksum")
    (run_dir / "run.json").write_text(sealed(data | changes))


def test_a_trained_run(trained, said, monkeypatch):
    monkeypatch.chdir(trained.parent)
    lines = said(0, "run").splitlines()
    record = json.loads((trained / "run.json").read_text())
    text = "\n".join(lines)
    assert f"best        val_loss {record['best_model_score']:.6g} in epoch {record['best_epoch']}" in lines
    assert "verified    yes, the restored weights give the same score bit for bit" in lines
    assert "config      the defaults of this machine" in lines
    assert "command     keepbest train" in lines
    assert lines[-1] == 'open it     run = keepbest.open_run("run")'
    assert "checkpoint  run/checkpoints/best.ckpt" in lines
    assert f"best in epoch {record['best_epoch']}" in text
    assert f"stop in epoch {record['stopping']['stopped_epoch']}" in text
    assert sum("│" in line for line in lines) == 8


def test_the_line_that_opens_it_means_the_same_tomorrow(tmp_path, said, monkeypatch):
    run = write_run(tmp_path / "outputs" / "runs" / "one", best_model_path="checkpoints/best.ckpt")
    (tmp_path / "outputs" / "latest").symlink_to(Path("runs") / "one")
    monkeypatch.chdir(tmp_path)
    last = 'open it     run = keepbest.open_run("{}")'.format
    for shown in ("outputs/latest", "outputs/latest/run.json", "outputs/latest/", "outputs/runs/one"):
        lines = said(0, shown).splitlines()
        assert lines[-1] == last("outputs/runs/one")
        assert "checkpoint  outputs/runs/one/checkpoints/best.ckpt" in lines
    monkeypatch.chdir(tmp_path / "outputs" / "runs")
    assert said(0, "../latest").splitlines()[-1] == last("one")
    monkeypatch.chdir(run)
    assert said(0, ".").splitlines()[-1] == last(run)
    assert said(0, "run.json").splitlines()[-1] == last(run)


def test_the_line_that_opens_it_names_its_modules_and_trusts_nobody(trained, tmp_path, said):
    from keepbest.composition.resolved import read_config, write_config

    run = shutil.copytree(trained, tmp_path / "run")
    edit(run, config_sha256=None)
    last = f'open it     run = keepbest.open_run("{run}"{{}})'.format
    for target, named in (("my_module.Net", ', modules=["my_module"]'), ("my_module.build", ""), ("os.system", "")):
        write_config(run, {**read_config(run), "model": {"_target_": target}})
        assert said(0, run).splitlines()[-1] == last(named)
    (run / "config.yaml").unlink()
    assert said(0, run).splitlines()[-1] == last("")


def test_an_option_in_quotes_is_one_line(run_job, said):
    job_dir, _ = run_job("callbacks/early_stopping=off", "trainer.max_epochs=1")
    lines = said(0, job_dir).splitlines()
    assert any(line.startswith("  callbacks.early_stopping=null (default {...})") for line in lines)
    (job_dir / ".hydra").mkdir()
    block = "      callbacks: default\n      callbacks/early_stopping: 'off'\n      trainer: cpu\n"
    (job_dir / ".hydra" / "hydra.yaml").write_text(f"hydra:\n  runtime:\n    choices:\n{block}")
    lines = said(0, job_dir).splitlines()
    start = lines.index("config      in place of the defaults of this machine")
    assert set(lines[start + 1 : start + 4]) == {
        "  trainer=cpu", "  callbacks/early_stopping=off", "  trainer.max_epochs=1 (default 100)",
    }  # fmt: skip
    assert lines[start + 4].startswith("ran ")


def test_an_edited_record_is_told_in_words_that_hold_here(tmp_path, said):
    run = write_run(tmp_path / "run")
    (run / "run.json").write_text((run / "run.json").read_text().replace('"host"', '"most"'))
    assert "If it is your own edit, in Python keepbest.open_run(..., trust=True) reads it" in said(1, run)


def test_what_a_config_changes_is_what_one_would_type(run_job, said):
    job_dir, _ = run_job("model=cnn", "model/optimizer=sgd", "trainer.max_epochs=1", "seed=3")
    assert "config      in place of the defaults of this machine" in said(0, job_dir)
    assert "  model._target_=keepbest.models.CNNClassifier (default keepbest.models.MLPClassifier)" in said(0, job_dir)
    (job_dir / ".hydra").mkdir()
    block = "      trainer: cpu\n      model: cnn\n      model/optimizer: sgd\n      hydra/output: default\n"
    hydra = job_dir / ".hydra" / "hydra.yaml"
    hydra.write_text(f"hydra:\n  runtime:\n    choices:\n{block}  verbose: false\n")
    lines = said(0, job_dir).splitlines()
    start = lines.index("config      in place of the defaults of this machine")
    changed = ["  trainer=cpu", "  model=cnn", "  model/optimizer=sgd", "  trainer.max_epochs=1 (default 100)"]
    assert lines[start + 1 : start + 6] == [*changed, "  seed=3 (default 42)"]
    for hostile in ("../../etc/passwd", "${oc.env:HOME}", "nowhere", "cnn,mlp", "'cnn", "'../cnn'", "''"):
        hydra.write_text(f"hydra:\n  runtime:\n    choices:\n      model: {hostile}\n")
        assert "  model._target_=keepbest.models.CNNClassifier" in said(0, job_dir)
    hydra.unlink()
    os.mkfifo(hydra)
    assert "  model._target_=keepbest.models.CNNClassifier" in said(0, job_dir)


def test_a_failed_run_says_why(tmp_path, said):
    error = Failure("ValueError", f"no\nroom {HOSTILE}", "Tracebck (most recent call last):\n  line\nValueError: no")
    run = write_run(tmp_path / "run", status=RunStatus.FAILED, error=error)
    text = said(0, run)
    assert "error       ValueError: no\n            room [red]x\\x1b[31m" in text
    assert "--traceback prints where" in text
    assert "most recent call last" not in text
    assert "most recent call last" in said(0, run, "--traceback")
    assert "stopped     failed before it ended" in text


def test_texts_of_other_people_are_shown_and_never_obeyed(tmp_path, said):
    environment = Environment(HOSTILE, True, {HOSTILE: HOSTILE}, [HOSTILE, HOSTILE], HOSTILE, HOSTILE)
    run = write_run(
        tmp_path / "run\x1b[31m",
        id=HOSTILE,
        objective=Objective(HOSTILE, "min"),
        environment=environment,
        best_model_score=1.0,
        best_model_path=HOSTILE,
        test={HOSTILE: 1.0},
        stopping=Stopping({}, 1, 1, HOSTILE, HOSTILE),
    )
    (run / "metrics.csv").write_text(f'epoch,step,"{HOSTILE}"\n0,1,2.0\n1,2,1.0\n')
    (run / "config.yaml").write_text(f'"{HOSTILE.encode("unicode_escape").decode()}": "{"x" * 999}"\n')
    assert "[red]x\\x1b[31m" in said(0, run)


def test_what_is_missing_or_damaged_is_said(trained, tmp_path, said):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "metrics.csv").write_text("epoch,step\n")
    (run / "config.yaml").write_text("a: 1\n")
    text = said(0, run)
    assert "curve       none: " in text
    assert "config      not compared with the defaults: " in text
    (run / "run.json").write_text("{}")
    assert "a record must end with its checksum" in said(1, run)
    for wrong in (tmp_path, tmp_path / "nowhere", "\0"):
        assert "a run or sweep must be" in said(2, wrong)
    assert "keepbest show cannot be called so" in said(2, run, "--wrong")
    assert "usage: keepbest show" in said(2)
    assert "keepbest show outputs/latest" in said(0, "--help")


def test_a_sweep(tmp_path, said):
    sweep = tmp_path / "sweep"
    overrides = [["a.p=1", "seed=1"], ["a.p=2", "seed=1"], ["a.p=3", "seed=1"]]
    jobs = [SweepJob(i, str(i), one, "", None, None, RunStatus.COMPLETED) for i, one in enumerate(overrides)]
    facts = {"best_model_path": "checkpoints/best.ckpt", "timing": Timing(epochs_trained=5)}
    write_run(sweep / "0", best_model_score=0.5, **facts)
    write_run(sweep / "1", best_model_score=0.25, **facts)
    error = Failure("ValueError", f"broken {HOSTILE}", "Tracebck\n  here")
    write_run(sweep / "2", status=RunStatus.FAILED, error=error)
    write_sweep(sweep, SweepRecord("s", ["-m"], ENVIRONMENT, jobs))
    lines = said(0, sweep).splitlines()
    assert lines[:3] == ["sweep       s", "jobs        2 completed, 1 failed", "all with    seed=1"]
    assert f"best        job 1, {sweep}/1/checkpoints/best.ckpt" in lines
    assert lines[-1] == f'open it     sweep = keepbest.open_sweep("{sweep}")'
    place = next(place for place, line in enumerate(lines) if "job 2 failed" in line)
    assert lines[place].startswith("            job 2 failed: ValueError: broken [red]")
    assert lines[place + 1] == "            --traceback prints where"
    assert not [line for line in lines if line != line.rstrip()]
    assert "Tracebck" not in "\n".join(lines)
    assert "job 2:\nTracebck\n  here" in said(0, sweep / "sweep.json", "--traceback")
    (sweep / "0" / "run.json").write_text("{}")
    assert "\n            job 0 unreadable: a record must end" in said(0, sweep)


def test_jobs_of_a_sweep_that_are_gone_are_named(tmp_path, said):
    sweep = tmp_path / "sweep"
    statuses = [RunStatus.COMPLETED] * 5 + [RunStatus.PENDING]
    jobs = [SweepJob(i, str(i), [f"a={i}"], "", None, None, status) for i, status in enumerate(statuses)]
    for number in range(5):
        write_run(sweep / str(number), best_model_score=0.5)
    write_sweep(sweep, SweepRecord("s", ["-m"], ENVIRONMENT, jobs))
    assert " missing: " not in said(0, sweep)
    shutil.rmtree(sweep / "1")
    assert "\n            job 1 missing: its directory has no record\n" in said(0, sweep)
    for number in (0, 2, 3, 4):
        (sweep / str(number) / "run.json").unlink()
    assert "\n            jobs 0-4 missing: their directories have no record\n" in said(0, sweep)


def test_a_running_sweep_counts_the_epochs_of_its_shared_metrics(tmp_path, said):
    sweep = tmp_path / "sweep"
    jobs = [SweepJob(i, str(i), [f"a={i}"], "", "trajectories/x", None, RunStatus.RUNNING) for i in range(2)]
    jobs += [SweepJob(2, "2", ["a=2"], "", None, None, RunStatus.RUNNING)]
    for name in ("0", "1", "2", "trajectories/x"):
        write_run(sweep / name, status=RunStatus.INTERRUPTED)
    for name, rows in (("trajectories/x", 7), ("2", 4), ("0", 3)):
        (sweep / name / "metrics.csv").write_text("epoch,step\n" + "".join(f"{i},{i}\n" for i in range(rows)))
    write_sweep(sweep, SweepRecord("s", ["-m"], ENVIRONMENT, jobs))
    assert "\nepochs      11 trained\n" in said(0, sweep)
    shutil.rmtree(sweep / "trajectories")
    assert "\nepochs      7 trained\n" in said(0, sweep), "of a copy without it, as far as its members know"


def test_nothing_of_a_run_is_executed(tmp_path, said, monkeypatch):
    """Neither its classes nor a module beside it: only the machine's own configs are composed."""
    run = write_run(tmp_path / "run")
    (run / "evil_shown_module.py").write_text("raise SystemExit('executed')")
    (run / "config.yaml").write_text("model:\n  _target_: evil_shown_module.Model\ndata: ${oc.env:HOME}\n")
    monkeypatch.chdir(run)
    text = said(0, ".")
    assert "  model._target_=evil_shown_module.Model" in text
    assert "data=${oc.env:HOME}" in text
    assert "evil_shown_module" not in sys.modules


def test_an_output_without_blocks_gets_plain_characters(trained):
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "60"}
    done = subprocess.run(
        [sys.executable, "-m", "keepbest", "show", trained], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout.isascii()
    curve = [line for line in done.stdout.splitlines() if line[12:13] == "|"]
    assert len(curve) == 8
    assert max(map(len, curve)) <= 60
