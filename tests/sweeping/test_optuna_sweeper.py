"""`keepbest train -m hydra/sweeper=optuna`, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from keepbest.cli.train import TrainCommand
from keepbest.errors import ConfigError
from keepbest.sweeping.study_storage import JOURNAL_FILE, open_storage

SEARCH = ("train", "-m", "hydra/sweeper=optuna")
SMALL = (
    "trainer=cpu",
    "model.hidden_sizes=[16]",
    "data.batch_size=128",
    "model.optimizer.lr=0.03",
    "model.dropout=0.1",
)
LR = "model.optimizer.lr"
PATIENCE = "callbacks.early_stopping.patience"
SEED = "hydra.sweeper.sampler.seed=1"
ENDS = """
import torch
from lightning.pytorch import Callback

class Ends(Callback):
    '''Ends the training badly in its second epoch.'''
    def __init__(self, how):
        self.how = how
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1 and self.how == "raises":
            raise RuntimeError("no luck")
        if trainer.current_epoch == 1 and self.how == "diverges":
            with torch.no_grad():
                next(pl_module.parameters()).fill_(float("nan"))
"""


def study_of(sweep):
    storage = JournalStorage(JournalFileBackend(str(sweep / "study.journal")))
    (name,) = (study.study_name for study in storage.get_all_studies())
    return optuna.load_study(study_name=name, storage=storage)


def jobs_of(sweep):
    plan = json.loads((sweep / "sweep.json").read_text())
    return {tuple(job["overrides"]): job for job in plan["jobs"]}


def params_of(sweep):
    return [trial.params for trial in study_of(sweep).trials]


def tells_of(sweep):
    """Return how often each trial of a journal was told that it is finished."""
    entries = [json.loads(line) for line in (sweep / "study.journal").read_text().splitlines()]
    told = [entry["trial_id"] for entry in entries if TrialState(entry.get("state", 0)).is_finished()]
    return [told.count(trial) for trial in sorted(set(told))]


def test_trials_that_differ_in_when_they_stop_share_trainings_and_their_scores_are_told(keepbest, tmp_path, record_of):
    command = [*SEARCH, *SMALL, f"{LR}=choice(0.01,0.03)", f"{PATIENCE}=range(1,6)", "trainer.max_epochs=10", SEED]
    done = keepbest([*command, "hydra.sweeper.n_jobs=4", "hydra.sweeper.n_trials=8", "hydra.sweep.dir=s"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "search that minimizes val_loss: 8 trials, 4 at a time, TPESampler, in s" in done.stdout
    assert f"{PATIENCE}: whole numbers from 1 to 5" in done.stdout
    sweep = tmp_path / "s"
    study, jobs = study_of(sweep), jobs_of(sweep)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 8
    for trial in study.trials:
        job = jobs[tuple(trial.user_attrs["overrides"])]
        assert trial.value == record_of(sweep / job["directory"])["best_model_score"]
        assert f"{LR}={trial.params[LR]}" in job["overrides"]
        assert f"{PATIENCE}={trial.params[PATIENCE]}" in job["overrides"]
    assert len(jobs) < 8, "two trials with the same values are one job"
    trainings = {job["trajectory"] or job["directory"] for job in jobs.values()}
    assert len(trainings) < len(jobs)
    assert f"best trial  {study.best_trial.number}, job" in done.stdout
    assert "trials      8 completed" in done.stdout

    before = {job["directory"]: (sweep / job["directory"] / "run.json").read_bytes() for job in jobs.values()}
    more = keepbest(["resume", "s", "hydra.sweeper.n_trials=9"], tmp_path)
    assert more.returncode == 0, more.stderr
    assert len(study_of(sweep).trials) == 9
    assert {name: (sweep / name / "run.json").read_bytes() for name in before} == before

    journal = (sweep / "study.journal").read_text().splitlines(keepends=True)
    first = next(number for number, line in enumerate(journal) if '"trial_id":8' in line and "param_name" in line)
    (sweep / "study.journal").write_text("".join(journal[: first + 1]))  # killed while it asked for the ninth trial
    rest = keepbest(["resume", "s", "hydra.sweeper.n_trials=9"], tmp_path)
    assert rest.returncode == 0, rest.stderr
    assert [trial.state for trial in study_of(sweep).trials] == [TrialState.COMPLETE] * 9
    assert study_of(sweep).trials[8].params.keys() == {LR, PATIENCE}
    other = keepbest([*command, "seed=7", "hydra.sweep.dir=s"], tmp_path)
    assert other.returncode == 2
    assert "differ in what is searched only, and study 's' has another fixed" in other.stderr
    other = keepbest([*command, f"{LR}=choice(0.01,0.02)", "hydra.sweep.dir=s"], tmp_path)
    assert other.returncode == 2
    assert "study 's' has another parameters" in other.stderr


def test_a_trial_that_fails_is_told_as_failed_one_that_diverged_as_pruned_and_the_search_goes_on(keepbest, tmp_path):
    (tmp_path / "ends.py").write_text(ENDS)
    ends = "+callbacks.ends={_target_: ends.Ends, how: well}"
    command = [*SEARCH, *SMALL, ends, "callbacks.ends.how=raises,diverges,well", "trainer.max_epochs=2"]
    grid = ["hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=1"]
    done = keepbest([*command, *grid, "hydra.sweep.dir=s"], tmp_path)
    assert done.returncode == 1
    assert "3 trials, 1 at a time, GridSampler" in done.stdout, "a grid has no more trials than points"
    trials = {trial.params["callbacks.ends.how"]: trial for trial in study_of(tmp_path / "s").trials}
    assert {how: trial.state for how, trial in trials.items()} == {
        "raises": TrialState.FAIL,
        "diverges": TrialState.PRUNED,
        "well": TrialState.COMPLETE,
    }
    assert trials["diverges"].value is None
    assert "callbacks.ends.how=well" in done.stdout.split("best trial")[1]
    assert "ended early" not in done.stdout
    again = keepbest(["resume", "s"], tmp_path)
    assert again.returncode == 1, "a search whose jobs failed is not one that completed"
    assert "training 1" not in again.stdout

    random = ["hydra/sweeper/sampler=random", SEED, "hydra.sweeper.n_trials=8"]
    one = [*random, "callbacks.ends.how=raises,well", "hydra.sweeper.n_jobs=1", "hydra.sweep.dir=one"]
    done = keepbest([*command, *one], tmp_path)
    states = [trial.state for trial in study_of(tmp_path / "one").trials]
    assert states.count(TrialState.FAIL) > 1
    assert states.count(TrialState.FAIL) + states.count(TrialState.COMPLETE) == 8
    assert done.stderr.count("no luck") == 1, "what failed is not trained again when it is asked for again"
    random += ["hydra.sweeper.n_jobs=3"]
    strict = keepbest([*command, *random, "hydra.sweeper.max_failure_rate=0", "hydra.sweep.dir=strict"], tmp_path)
    assert strict.returncode == 1
    assert len(study_of(tmp_path / "strict").trials) == 3
    assert "trials have no result, see hydra.sweeper.max_failure_rate" in strict.stdout


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(keepbest, tmp_path, differences):
    settings = [*SMALL, f"{LR}=tag(log,interval(1e-2,1e-1))", f"{PATIENCE}=int(interval(3,9))", SEED]
    settings += ["trainer.max_epochs=15"]
    settings += ["hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2", "hydra.sweeper.sampler.n_startup_trials=2"]
    whole = keepbest([*SEARCH, *settings, "hydra.sweep.dir=whole"], tmp_path)
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "keepbest", *SEARCH, *settings, "hydra.sweep.dir=killed"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    killed = tmp_path / "killed"
    _wait_for(killed / "3" / "checkpoints" / "last.ckpt")
    for pid in [process.pid, *_processes_below(process.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=60)
    states = [trial.state for trial in study_of(killed).trials]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.RUNNING] * 2
    finished = {number: (killed / number / "run.json").stat().st_mtime_ns for number in "012"}
    with (killed / "study.journal").open("a") as journal:
        journal.write('{"op_code":4,"work')  # as a full disk leaves it
    done = keepbest(["resume", "killed"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert tells_of(killed) == [1] * 6
    assert params_of(killed) == params_of(tmp_path / "whole")
    assert {number: (killed / number / "run.json").stat().st_mtime_ns for number in "012"} == finished
    for number in "012345":
        assert differences(tmp_path / "whole" / number, killed / number) == []

    journal = (killed / "study.journal").read_text().splitlines(keepends=True)
    tells = [number for number, line in enumerate(journal) if '"state":1' in line]
    kept = [line for number, line in enumerate(journal) if number not in tells[-2:]]
    (killed / "study.journal").write_text("".join(kept))  # killed when jobs were completed, and not told
    told = keepbest([*SEARCH, *settings, "hydra.sweep.dir=killed"], tmp_path)
    assert told.returncode == 0, told.stderr
    assert "2 jobs, 2 with their results, 0 trainings" in told.stdout
    values = [[trial.value for trial in study_of(tmp_path / name).trials] for name in ("killed", "whole")]
    assert values[0] == values[1]
    assert tells_of(killed) == [1] * 6


def test_without_optuna_a_search_says_what_to_install_and_all_else_works(keepbest, tmp_path):
    (tmp_path / "optuna.py").write_text("raise ModuleNotFoundError(\"No module named 'optuna'\")\n")
    done = keepbest([*SEARCH, f"{PATIENCE}=1,2"], tmp_path)
    assert done.returncode == 2
    assert "hydra/sweeper=optuna needs Optuna, which cannot be imported: No module named 'optuna'" in done.stderr
    assert "pip install 'keepbest[optuna]'" in done.stderr
    grid = keepbest(["train", "-m", f"{PATIENCE}=1,2", "hydra.sweeper.dry_run=true"], tmp_path)
    assert grid.returncode == 0, grid.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "optuna.py"]


@pytest.mark.slow
def test_a_database_keeps_the_study_where_one_is_named(keepbest, tmp_path):
    small = [*SMALL, "trainer.max_epochs=2", f"{LR}=0.01,0.02", "hydra.sweeper.n_trials=2"]
    named = ["hydra.sweeper.storage=sqlite:///studies.db", "hydra.sweeper.study_name=mine", "hydra.sweep.dir=s"]
    done = keepbest([*SEARCH, *small, *named], tmp_path)
    assert done.returncode == 0, done.stderr
    study = optuna.load_study(study_name="mine", storage=f"sqlite:///{tmp_path}/studies.db")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert not (tmp_path / "s" / "study.journal").exists()


@pytest.mark.slow
def test_a_trial_that_cannot_work_ends_the_search_and_is_not_in_the_way_of_the_next_command(keepbest, tmp_path):
    """A fault that only some values have comes up when they are asked for."""
    faulty = ["trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1,3", "hydra/sweeper/sampler=grid"]
    command = [*SEARCH, *SMALL, *faulty, "hydra.sweeper.n_jobs=1", "hydra.sweep.dir=s"]
    codes = []
    for _ in range(2):
        done = keepbest(command, tmp_path)
        codes.append(done.returncode)
        assert ("validation must come at least once in the 2 epochs" in done.stderr) == (done.returncode == 2)
    assert sorted(codes) == [0, 2]
    states = {trial.params["trainer.check_val_every_n_epoch"]: trial.state for trial in study_of(tmp_path / "s").trials}
    assert states == {1: TrialState.COMPLETE, 3: TrialState.FAIL}


@pytest.mark.slow
def test_a_lock_and_a_torn_line_of_a_writer_that_was_killed_are_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, storage in ((tmp_path / JOURNAL_FILE, None), (tmp_path / "below" / "mine.journal", "below/mine.journal")):
        study = optuna.create_study(study_name="it", storage=open_storage(tmp_path, storage))
        study.add_trial(optuna.create_trial(value=1.0))
        Path(f"{path}.lock").symlink_to(path)
        if storage is None:
            with path.open("a") as journal:
                journal.write('{"op_code":4,"work')
        study = optuna.load_study(study_name="it", storage=open_storage(tmp_path, storage))
        study.add_trial(optuna.create_trial(value=2.0))
        assert [trial.value for trial in study.trials] == [1.0, 2.0]


REFUSED = {
    "no parameter": ((), "a search needs a parameter to vary"),
    "a fault in the jobs": ((f"{PATIENCE}=-1,2",), r"job 0 \(.*\): callbacks.early_stopping: patience must be"),
    "another direction": ((f"{PATIENCE}=1,2", "hydra.sweeper.direction=maximize"), "it must be that of the objective"),
    "a grid of intervals": (
        ("model.dropout=interval(0,0.5)", "hydra/sweeper/sampler=grid"),
        "model.dropout: a grid needs parameters whose values can be listed",
    ),
    "a sampler that is none": (
        (f"{PATIENCE}=1,2", "hydra.sweeper.sampler._target_=torch.nn.ReLU"),
        "hydra.sweeper.sampler",
    ),
    "a sampler's argument": (
        (f"{PATIENCE}=1,2", "+hydra.sweeper.sampler.n_startup_trails=3"),
        "hydra.sweeper.sampler.*n_startup_trials",
    ),
}


@pytest.mark.parametrize(("overrides", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_before_anything_is_written(overrides, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        TrainCommand()(["-m", "hydra/sweeper=optuna", *overrides])
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_is_searched_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    TrainCommand()(["-m", "sweep=optuna", "hydra.sweeper.dry_run=true", "model=glob(c*)"])
    said = capsys.readouterr().out
    assert "20 trials, 5 at a time, TPESampler" in said
    assert "model.optimizer.lr: 0.001, 0.003, 0.01, 0.03" in said
    assert "model: cnn" in said
    assert list(tmp_path.iterdir()) == []


def _wait_for(path):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"there is no {path}"
        time.sleep(0.02)


def _processes_below(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [process for child in map(int, found) for process in (child, *_processes_below(child))]
