"""What a launched job finds in its directory: what an independent job would have, whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from keepbest.composition.checks import policy_of
from keepbest.composition.resolved import CONFIG_FILE, read_config
from keepbest.records.run_record import RunStatus
from keepbest.records.store import RUN_FILE, read_record
from keepbest.sweeping.fingerprint import MASKED
from keepbest.sweeping.job_composer import JobComposer
from keepbest.sweeping.job_files import JobFiles
from keepbest.sweeping.members import MEMBERS_FILE, read_members
from keepbest.sweeping.plan import find_trainings

PATIENCE = "callbacks.early_stopping.patience"
OVERRIDES = [[f"{PATIENCE}=1", "seed=1"], [f"{PATIENCE}=2", "seed=1"], [f"{PATIENCE}=1", "seed=2"]]


@pytest.fixture
def planned(sweep_config, tmp_path):
    """Two members of one training and a job on its own: what writes their files, and the trainings."""
    context, master = sweep_config(f"hydra.sweep.dir={tmp_path}/sweep")
    composer = JobComposer(context.config_loader, master, MASKED)
    jobs = [composer.compose(number, overrides) for number, overrides in enumerate(OVERRIDES)]
    trainings, _ = find_trainings(tmp_path / "sweep", jobs, share=True, reads_stop=())
    files = JobFiles(tmp_path / "sweep", composer)
    assert files.environment is files.environment, "git is asked once"
    return files, trainings


def write_all(files, trainings) -> None:
    for training in trainings:
        files.write(training)


def contents(directory: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


def test_each_job_and_each_shared_training_has_its_files(planned, tmp_path):
    files, trainings = planned
    write_all(files, trainings)
    job = {".hydra", ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", CONFIG_FILE, RUN_FILE}
    for number, overrides in enumerate(OVERRIDES):
        directory = tmp_path / "sweep" / str(number)
        assert set(contents(directory)) == job
        assert (directory / ".hydra" / "overrides.yaml").read_text() == "".join(f"- {text}\n" for text in overrides)
    assert set(contents(trainings[0].directory)) == {CONFIG_FILE, RUN_FILE, MEMBERS_FILE}


def test_the_config_is_the_jobs_own_and_the_shared_one_has_no_policy(planned):
    files, trainings = planned
    write_all(files, trainings)
    for training in trainings:
        for job in training.jobs:
            assert read_config(job.directory) == job.config
    shared, (first, *_) = trainings[0], trainings[0].jobs
    callbacks = {**first.config["callbacks"], "early_stopping": None}
    assert read_config(shared.directory) == {**first.config, "callbacks": callbacks}
    assert [member.policy for member in read_members(shared.directory).all] == [
        policy_of(job.config) for job in shared.jobs
    ]


def test_the_records_are_pending_and_named_after_the_sweep(planned, tmp_path):
    files, trainings = planned
    write_all(files, trainings)
    shared = trainings[0].directory
    for directory, name in [(tmp_path / "sweep" / "2", "sweep/2"), (shared, f"sweep/trajectories/{shared.name}")]:
        record = read_record(directory)
        assert (record.id, record.status) == (name, RunStatus.PENDING)
        assert record.objective.monitor == "val_loss"
        assert record.environment == files.environment
    assert [read_record(tmp_path / "sweep" / str(number)).seed for number in range(3)] == [1, 1, 2]


def test_what_is_there_already_stays(planned, tmp_path):
    files, trainings = planned
    write_all(files, trainings)
    sweep = tmp_path / "sweep"
    (sweep / "0" / CONFIG_FILE).write_text("edited: true\n")
    (sweep / "0" / RUN_FILE).write_text("a result")
    (trainings[0].directory / MEMBERS_FILE).write_text("edited")
    before = contents(sweep)
    write_all(files, trainings)
    assert contents(sweep) == before


def test_directories_may_lie_anywhere(sweep_config, tmp_path):
    context, master = sweep_config(
        f"hydra.sweep.dir={tmp_path}/sweep",
        f"hydra.sweep.subdir={tmp_path}/elsewhere/p${{{PATIENCE}}}/${{hydra.job.num}}",
    )
    composer = JobComposer(context.config_loader, master, MASKED)
    jobs = [composer.compose(number, overrides) for number, overrides in enumerate(OVERRIDES[:2])]
    trainings, _ = find_trainings(tmp_path / "sweep", jobs, share=True, reads_stop=())
    write_all(JobFiles(tmp_path / "sweep", composer), trainings)
    assert read_record(tmp_path / "elsewhere" / "p1" / "0").id == "sweep/../elsewhere/p1/0"
    (training,) = trainings
    assert [member.directory for member in read_members(training.directory).all] == [
        tmp_path / "elsewhere" / "p1" / "0",
        tmp_path / "elsewhere" / "p2" / "1",
    ]


def kill_at(moment: int, files, trainings) -> bool:
    """Write in a process that kills itself when it touches the disk for the n-th time; return whether it did."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def look(event: str, _: object) -> None:
            nonlocal count
            if event in ("open", "os.mkdir", "os.rename", "os.link", "os.remove"):
                count += 1
                if count == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(look)
            write_all(files, trainings)
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_kill_at_any_moment_is_made_good_by_the_same_call(planned, tmp_path):
    files, (*trainings, _) = planned
    sweep = tmp_path / "sweep"
    write_all(files, trainings)
    expected, moment = contents(sweep), 1
    shutil.rmtree(sweep)
    while kill_at(moment, files, trainings):
        for record in sweep.rglob(RUN_FILE):
            assert (record.parent / CONFIG_FILE).exists(), "a directory that has a record is complete"
            if "trajectories" in str(record):
                read_members(record.parent)
        write_all(files, trainings)
        assert contents(sweep) == expected
        shutil.rmtree(sweep)
        moment += 1
    assert moment > 40
