"""One training in a process of its own: what is written about it by whoever waits for it."""

import dataclasses
import signal
import threading
import time

import pytest

from keepbest.composition.resolved import read_config
from keepbest.errors import OwnedError
from keepbest.records.ownership import owned
from keepbest.records.run_record import RunStatus
from keepbest.records.store import read_record, write_record
from keepbest.sweeping.shared_run import execute_shared
from keepbest.sweeping.stop_order import StopOrder
from keepbest.sweeping.training_process import run_training
from keepbest.training.early_end import record_death
from keepbest.training.interruption import Interrupted
from keepbest.training.job import create_job
from keepbest.training.worker_process import WorkerError


@pytest.fixture
def job(compose_config, tmp_path):
    create_job(tmp_path / "job", "job", compose_config(["trainer=cpu", "trainer.max_epochs=1"]))
    return tmp_path / "job"


TRAINER = {"accelerator": "cpu", "devices": 1}


def test_a_training_of_another_process_is_left_alone_once_nothing_more_is_to_be_started(job):
    order = StopOrder(job)
    with owned(job):
        before = (job / "run.json").read_bytes()
        order.give()
        with pytest.raises(OwnedError, match="is held by another process"):
            run_training(job, TRAINER, order)
        order.give(signal.SIGINT)
        with pytest.raises(Interrupted, match="SIGINT"):
            run_training(job, TRAINER, order)
        assert (job / "run.json").read_bytes() == before


def test_a_training_of_another_process_is_waited_for_and_its_result_taken(job, capsys):
    """It is said once; what has its result is not trained again."""
    done = dataclasses.replace(read_record(job), status=RunStatus.COMPLETED)
    release = threading.Event()

    def hold() -> None:
        with owned(job):
            held.set()
            release.wait()
            write_record(job, done)

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    threading.Timer(3, release.set).start()
    assert run_training(job, TRAINER, StopOrder(job)) is RunStatus.COMPLETED
    holder.join()
    said = capsys.readouterr().out
    assert said == "another process still trains job job: waiting for it. Ctrl-C ends the waiting, not the training.\n"
    assert read_record(job) == done


def test_a_shared_training_waits_for_a_member_that_is_trained_on_its_own(share):
    training, members = share(["trainer.max_epochs=1"], [["callbacks.early_stopping.patience=1"]] * 2)
    order = StopOrder(training)
    order.give()
    before = (training / "run.json").read_bytes()
    with owned(members[1]):
        with pytest.raises(OwnedError, match=rf"{members[1]} is held by"):
            run_training(training, TRAINER, order)
        with pytest.raises(OwnedError, match=rf"{members[1]} is held by"):
            execute_shared(training)
    assert (training / "run.json").read_bytes() == before


def test_a_training_has_the_environment_of_the_moment_and_its_output_is_in_its_log(job, monkeypatch, capfd):
    """The process that forks it was started long before."""
    assert run_training(job, TRAINER, StopOrder(job)) is RunStatus.COMPLETED
    capfd.readouterr()
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        place = job.parent / threads
        create_job(place, threads, read_config(job))
        assert run_training(place, TRAINER, StopOrder(place)) is RunStatus.COMPLETED
        assert read_record(place).environment.threads == int(threads)
        assert "restored the best weights" in (place / "train.log").read_text()
    assert capfd.readouterr() == ("", "")


def test_trainings_without_a_seed_differ_although_they_come_from_one_process(compose_config, tmp_path):
    tables = []
    for name in ("one", "other"):
        create_job(tmp_path / name, name, compose_config(["trainer=cpu", "seed=null", "trainer.max_epochs=1"]))
        assert run_training(tmp_path / name, TRAINER, StopOrder(tmp_path)) is RunStatus.COMPLETED
        tables.append((tmp_path / name / "metrics.csv").read_text())
    assert tables[0] != tables[1]


def test_an_order_ends_what_runs_wherever_it_comes_from(compose_config, tmp_path):
    create_job(tmp_path / "job", "job", compose_config(["trainer=cpu", "callbacks.early_stopping.patience=10000"]))
    order = StopOrder(tmp_path)
    started = tmp_path / "job" / "metrics.csv"

    def give() -> None:
        while not started.exists():
            time.sleep(0.05)
        StopOrder(tmp_path).give(signal.SIGTERM)

    giver = threading.Thread(target=give)
    giver.start()
    with pytest.raises(Interrupted, match="SIGTERM"):
        run_training(tmp_path / "job", TRAINER, order)
    giver.join()
    assert read_record(tmp_path / "job").status is RunStatus.INTERRUPTED
    order.give()
    assert order.ending is signal.SIGTERM, "a failure does not take a signal's place"
    order.withdraw()
    assert not order.is_given


def test_a_death_that_nobody_could_write_is_written_for_all_jobs(job, compose_config, tmp_path):
    create_job(tmp_path / "member", "member", compose_config(["trainer=cpu"]))
    assert record_death(job, WorkerError(-9, job), [tmp_path / "member"]).status is RunStatus.FAILED
    error = read_record(tmp_path / "member").error
    assert error is not None
    assert "was killed by SIGKILL" in error.message
