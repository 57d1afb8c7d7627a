"""One training in a process of its own: what is written about it by whoever waits for it."""

import pytest

from keepbest.records.ownership import owned
from keepbest.records.run_record import RunStatus
from keepbest.records.store import read_record
from keepbest.sweeping.training_process import run_training
from keepbest.training.early_end import record_death
from keepbest.training.job import create_job
from keepbest.training.worker_process import WorkerError


@pytest.fixture
def job(compose_config, tmp_path):
    create_job(tmp_path / "job", "job", compose_config(["trainer=cpu", "trainer.max_epochs=1"]))
    return tmp_path / "job"


def test_a_directory_that_another_process_holds_keeps_its_record(job, capfd):
    """That process has refused ours, and writes its own end."""
    with owned(job):
        before = (job / "run.json").read_bytes()
        status = run_training(job, {"accelerator": "cpu", "devices": 1})
        assert status is RunStatus.PENDING
        assert (job / "run.json").read_bytes() == before
    assert "is held by another process" in capfd.readouterr().err
    assert run_training(job, {"accelerator": "cpu", "devices": 1}) is RunStatus.COMPLETED


def test_a_death_that_nobody_could_write_is_written_for_all_jobs(job, compose_config, tmp_path):
    create_job(tmp_path / "member", "member", compose_config(["trainer=cpu"]))
    assert record_death(job, WorkerError(-9, job), [tmp_path / "member"]).status is RunStatus.FAILED
    error = read_record(tmp_path / "member").error
    assert error is not None
    assert "was killed by SIGKILL" in error.message
