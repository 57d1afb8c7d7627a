"""Which trainings jobs need: as few as there are trajectories, one for each job that must be alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keepbest.errors import ConfigError
from keepbest.records.run_record import Environment, RunStatus
from keepbest.records.store import RUN_FILE, write_sweep
from keepbest.records.sweep_record import SweepRecord
from keepbest.stopping.policy import StoppingPolicy
from keepbest.sweeping.fingerprint import config_hash, fingerprint_of
from keepbest.sweeping.job_composer import ComposedJob
from keepbest.sweeping.plan import find_trainings, job_entry, require_same, training_of, with_status


@pytest.fixture(scope="session")
def usual(compose_config) -> dict[str, Any]:
    return compose_config([])


@pytest.fixture
def job(usual, tmp_path):
    """Make a job of a sweep."""

    def make(number: int, directory: Path | None = None, environment: Any = None, stops: Any = None, **sections: Any):
        callbacks = usual["callbacks"]
        stopping = None if stops == "off" else {**callbacks["early_stopping"], **(stops or {})}
        config = {**usual, "callbacks": {**callbacks, "early_stopping": stopping}, **sections}
        return ComposedJob(
            number, (f"number={number}",), config, directory or tmp_path / str(number), environment or {}
        )

    return make


def found(jobs, sweep_dir, *, share=True, reads_stop=()):
    trainings, alone = find_trainings(sweep_dir, jobs, share=share, reads_stop=reads_stop)
    return [[job.number for job in training.jobs] for training in trainings], alone, trainings


def test_jobs_of_one_trajectory_share_a_training(job, tmp_path):
    jobs = [job(number, stops={"patience": number + 1}) for number in range(3)]
    numbers, alone, (training,) = found(jobs, tmp_path)
    assert (numbers, alone) == ([[0, 1, 2]], {})
    fingerprint = fingerprint_of(jobs[0].config)
    assert training.directory == tmp_path / "trajectories" / fingerprint
    assert training.members.fingerprint == fingerprint
    assert [member.directory for member in training.members.all] == [tmp_path / str(number) for number in range(3)]
    assert [member.policy.patience for member in training.members.all] == [1, 2, 3]
    assert (training.members.check_on_train_epoch_end, training.members.strict) == (None, True)
    assert not (tmp_path / "trajectories").exists(), "planning writes nothing"


def test_trainings_come_in_the_order_of_their_first_jobs(job, tmp_path):
    jobs = [job(number, seed=number % 3, stops={"patience": number + 1}) for number in range(7)]
    assert found(jobs, tmp_path)[:2] == ([[0, 3, 6], [1, 4], [2, 5]], {})


def test_one_without_a_policy_joins_the_others(job, tmp_path):
    _, alone, (training,) = found([job(0, stops="off"), job(1), job(2, stops={"strict": True})], tmp_path)
    assert alone == {}
    assert [member.policy is None for member in training.members.all] == [True, False, False]


def test_the_limits_of_the_trainer_are_part_of_the_policies(job, usual, tmp_path):
    trainer = {**usual["trainer"], "min_epochs": 4}
    _, _, (training,) = found([job(number, trainer=trainer, stops={"patience": number}) for number in (1, 2)], tmp_path)
    assert {member.policy.min_epochs for member in training.members.all} == {4}


def test_a_job_with_nobody_to_share_with_has_its_own_directory(job, tmp_path):
    numbers, alone, trainings = found([job(0, seed=1), job(1, seed=2)], tmp_path)
    assert (numbers, alone) == ([[0], [1]], {})
    assert [(training.directory, training.members) for training in trainings] == [
        (tmp_path / "0", None),
        (tmp_path / "1", None),
    ]


def test_a_job_that_must_be_alone_says_why(job, tmp_path):
    jobs = [job(0, seed=None), job(1, seed=None), job(2), job(3)]
    numbers, alone, _ = found(jobs, tmp_path)
    assert numbers == [[0], [1], [2, 3]]
    assert alone == dict.fromkeys((0, 1), "it has no seed, so that no two trainings are alike")


def test_sharing_can_be_turned_off(job, tmp_path):
    numbers, alone, trainings = found([job(0), job(1)], tmp_path, share=False)
    assert numbers == [[0], [1]]
    assert alone == dict.fromkeys((0, 1), "hydra.sweeper.share is false")
    assert all(training.members is None for training in trainings)


def test_a_declared_callback_keeps_its_jobs_alone(job, usual, tmp_path):
    mine = {**usual["callbacks"], "mine": {"_target_": "mine.Callback"}}
    numbers, alone, _ = found(
        [job(0, callbacks=mine), job(1, callbacks=mine), job(2), job(3)], tmp_path, reads_stop=["mine"]
    )
    assert numbers == [[0], [1], [2, 3]]
    assert alone[0] == "callbacks.mine is declared to read the stop (hydra.sweeper.reads_stop)"


def test_jobs_of_other_environment_variables_are_separate(job, tmp_path):
    jobs = [job(number, environment={"ROOM": str(number % 2)}) for number in range(4)]
    numbers, _, trainings = found(jobs, tmp_path)
    assert numbers == [[0, 2], [1, 3]]
    assert len({training.directory for training in trainings}) == 2


def test_a_job_that_was_asked_for_twice_is_one_job(job, tmp_path):
    assert found([job(0), job(1), job(0)], tmp_path)[0] == [[0, 1]]
    assert found([job(0), job(0)], tmp_path)[0] == [[0]]


def test_no_jobs_need_no_training(tmp_path):
    assert found([], tmp_path) == ([], {}, [])


def test_two_jobs_in_one_directory_are_refused(job, tmp_path):
    jobs = [job(0, tmp_path / "x", seed=1), job(1, tmp_path / "y"), job(2, tmp_path / "x", seed=2)]
    with pytest.raises(ConfigError, match=r"each job has a directory of its own, jobs 0 and 2 .*, got '.*/x'"):
        found(jobs, tmp_path)


def test_a_directory_with_another_run_is_refused(job, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / RUN_FILE).touch()
    with pytest.raises(ConfigError, match=r"a directory holds one run, and that of job 1 .*, got '.*/1'.*sweep\.dir"):
        found([job(0), job(1)], tmp_path)


def test_a_later_part_of_the_sweep_trains_in_another_directory(job, tmp_path):
    (later,) = found([job(0), job(1)], tmp_path)[2]
    plain = later.directory
    for number in (2, 3):
        later.directory.mkdir(parents=True)
        (later,) = found([job(10 * number), job(10 * number + 1)], tmp_path)[2]
        assert later.directory == plain.with_name(f"{plain.name}-{number}")


def test_a_training_that_was_planned_keeps_its_directory_before_it_exists(job, tmp_path):
    """The command that planned it was killed before it wrote anything but sweep.json."""
    jobs = [job(0), job(1)]
    (training,) = found(jobs, tmp_path)[2]
    entries = [job_entry(each, tmp_path, training, None) for each in jobs]
    write_sweep(tmp_path, SweepRecord("s", [], Environment(None, None, {}, [], "host", "/"), entries))
    (later,) = found([job(2), job(3)], tmp_path)[2]
    assert later.directory == training.directory.with_name(f"{training.directory.name}-2")


def test_the_entry_of_a_member(job, tmp_path):
    jobs = [job(0), job(1)]
    (training,) = found(jobs, tmp_path)[2]
    entry = job_entry(jobs[1], tmp_path, training, None)
    assert (entry.number, entry.directory, entry.overrides) == (1, "1", ["number=1"])
    assert entry.trajectory == f"trajectories/{training.members.fingerprint}"
    assert entry.config_sha256 == config_hash(jobs[1].config)
    assert (entry.alone, entry.status) == (None, RunStatus.PENDING)


def test_the_entry_of_a_job_on_its_own(job, tmp_path):
    alone = job(3, tmp_path.parent / "elsewhere" / "3", seed=None)
    entry = job_entry(alone, tmp_path, training_of([alone], None), "it has no seed")
    assert (entry.directory, entry.trajectory, entry.alone) == ("../elsewhere/3", None, "it has no seed")


def test_a_planned_job_goes_on_only_with_its_config(job, tmp_path):
    entry = job_entry(job(0), tmp_path, training_of([job(0)], None), None)
    require_same(entry, job(0))
    with pytest.raises(
        ConfigError, match="job 0 of this sweep was planned with another config than number=0 gives now"
    ):
        require_same(entry, job(0, seed=8))


def test_an_entry_takes_its_new_status(job, tmp_path):
    entry = job_entry(job(0), tmp_path, training_of([job(0)], None), None)
    assert with_status(entry, RunStatus.FAILED).status is RunStatus.FAILED
    assert entry.status is RunStatus.PENDING


def test_a_training_is_made_again_from_its_jobs(job, tmp_path):
    """A sweep that goes on knows the directory from its record."""
    jobs = [job(0, stops={"patience": 2, "strict": False, "check_on_train_epoch_end": True}), job(1, stops="off")]
    training = training_of(jobs, tmp_path / "there")
    assert training.directory == tmp_path / "there"
    assert [member.policy for member in training.members.all] == [
        StoppingPolicy(patience=2, min_delta=1e-4),
        None,
    ]
    assert (training.members.check_on_train_epoch_end, training.members.strict) == (True, False)
