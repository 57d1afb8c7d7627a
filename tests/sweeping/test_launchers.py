"""Sweeps in the hands of Hydra's launchers: joblib, submitit's local executor, Ray. Each is the real one."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

NOTES = """
import json, os, time
from pathlib import Path
from lightning.pytorch import Callback

class Notes(Callback):
    '''Writes down what the process sees, and when; ends the process where it is told to.'''
    def __init__(self, dies=False, rank=0):
        self.dies, self.rank = dies, rank
    def on_fit_start(self, trainer, pl_module):
        self.note = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")}
        self.note |= {"began": time.time(), "world": trainer.world_size}
        self.write()
    def on_train_epoch_start(self, trainer, pl_module):
        time.sleep(0.02)
        if self.dies and trainer.current_epoch == 1 and trainer.global_rank == self.rank:
            os._exit(7)
    def on_fit_end(self, trainer, pl_module):
        self.note["ended"] = time.time()
        self.write()
    def write(self):
        Path("notes").mkdir(exist_ok=True)
        Path("notes", f"{os.getpid()}.json").write_text(json.dumps(self.note))
"""
SMALL = (
    "model.hidden_sizes=[16]",
    "data.batch_size=128",
    "model.optimizer.lr=0.03",
    "model.dropout=0.1",
)
NOTED = "+callbacks.notes={_target_: noted_by_launchers.Notes, dies: false, rank: 0}"
GRID = ("callbacks.notes.dies=false,true", "seed=1,2", "callbacks.early_stopping.patience=1,3")
LAUNCHERS = {
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=3"),
    "submitit_local": ("hydra/launcher=submitit_local",),
    "ray": ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_gpus=2", "+hydra.launcher.ray.remote.num_gpus=1"),
    "half a device": (
        "hydra/launcher=ray",
        "+hydra.launcher.ray.init.num_gpus=1",
        "+hydra.launcher.ray.remote.num_gpus=0.5",
    ),
}


def command(place: Path, *overrides: str, **environment: str | None) -> subprocess.Popen[str]:
    """Start a sweep in a user's directory. A variable that is None is not set."""
    (place / "noted_by_launchers.py").write_text(NOTES)
    arguments = [sys.executable, "-m", "keepbest", "train", "-m", *SMALL, NOTED, *overrides, "hydra.sweep.dir=s"]
    variables = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.Popen(
        arguments, cwd=place, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def notes_of(place: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in (place / "notes").iterdir()]


def statuses(sweep: Path, record_of, count: int) -> list[str]:
    return [record_of(sweep / str(number))["status"] for number in range(count)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Run the grid with the basic launcher, one training after the other."""
    place = tmp_path_factory.mktemp("basic")
    process = command(place, "trainer=cpu", *GRID)
    process.communicate(timeout=200)
    assert process.returncode == 1
    return place / "s"


@pytest.mark.parametrize(("name", "seeds"), [("joblib", 2), ("submitit_local", 1), ("half a device", 1)])
def test_each_job_has_its_result_and_its_device_and_a_death_stops_no_other(
    name, seeds, reference, tmp_path, differences, record_of
):
    grid = (GRID[0], f"seed={','.join(map(str, range(1, seeds + 1)))}", GRID[2])
    # on a machine without accelerators these are names that nobody asks for
    process = command(
        tmp_path, "trainer.accelerator=auto", *grid, *LAUNCHERS[name], CUDA_VISIBLE_DEVICES="7,8", OMP_NUM_THREADS=None
    )
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 1, errors
    assert errors.count("WorkerError: the worker of ") == seeds, errors
    assert "Traceback" not in errors
    completed, failed = range(2 * seeds), range(2 * seeds, 4 * seeds)
    for number in completed:
        found = differences(tmp_path / "s" / str(number), reference / str(number))
        assert [name for name in found if name != "config_sha256"] == []  # trainer.accelerator
    assert {record_of(tmp_path / "s" / str(number))["status"] for number in failed} == {"failed"}
    assert "ended with status 7" in record_of(tmp_path / "s" / str(failed[-1]))["error"]["message"]
    assert f"{4 * seeds} jobs, {2 * seeds} trainings of at most {200 * seeds} epochs instead of" in output
    notes = [note for note in notes_of(tmp_path) if "ended" in note]
    assert len(notes) == seeds
    if name == "half a device":
        assert {note["CUDA_VISIBLE_DEVICES"] for note in notes} == {"7"}
        return
    assert {note["CUDA_VISIBLE_DEVICES"] for note in notes} <= {"7", "8"}
    for one, other in itertools.combinations(notes, 2):
        if one["CUDA_VISIBLE_DEVICES"] == other["CUDA_VISIBLE_DEVICES"]:
            assert one["ended"] <= other["began"] or other["ended"] <= one["began"], "two trainings on one device"
    if name == "joblib":
        assert {note["OMP_NUM_THREADS"] for note in notes} == {"1"}
        assert record_of(tmp_path / "s" / "0")["environment"]["threads"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), [("joblib", signal.SIGTERM), ("ray", signal.SIGINT)])
def test_a_signal_ends_all_trainings_wherever_they_run(name, number, tmp_path, record_of):
    process = command(
        tmp_path,
        "trainer=cpu",
        "trainer.max_epochs=100000",
        "callbacks.early_stopping.patience=100000",
        "seed=1,2,3",
        *LAUNCHERS[name],
    )
    sweep = tmp_path / "s"
    pids: list[int] = []
    while len(pids) < 2 and process.poll() is None:
        time.sleep(0.2)
        records = [record_of(path.parent) for path in sweep.glob("?/run.json")]
        pids = [record["environment"]["pid"] for record in records if record["status"] == "running" and record["last"]]
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "keepbest: go on with this sweep by `keepbest resume s`" in errors
    found = statuses(sweep, record_of, 3)
    assert found.count("interrupted") >= 2
    assert set(found) <= {"interrupted", "pending"}
    if name == "ray":
        assert sorted(note["CUDA_VISIBLE_DEVICES"] for note in notes_of(tmp_path)) == ["0", "1"]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_trainings_on_two_ranks_share_too_and_a_rank_that_dies_hangs_nothing(tmp_path, differences, record_of):
    """Two joblib processes, each with a training of two gloo ranks."""
    grid = ("callbacks.early_stopping.patience=1,3", "callbacks.notes.dies=false,true", "callbacks.notes.rank=1")
    process = command(
        tmp_path, "trainer=ddp_cpu", *grid, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.prove=1"
    )
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 1, errors
    assert "proved: 1 trained on their own gave the same, bit for bit" in output
    assert statuses(tmp_path / "s", record_of, 4) == ["completed", "failed", "completed", "failed"]
    assert {note["world"] for note in notes_of(tmp_path)} == {2}
    assert len(list((tmp_path / "s" / "trajectories").iterdir())) == 2


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")
def test_a_launcher_that_loses_a_process_ends_with_a_table_and_leaves_no_training_behind(tmp_path, record_of):
    process = command(
        tmp_path,
        "trainer=cpu",
        "trainer.max_epochs=100000",
        "callbacks.early_stopping.patience=100000",
        "seed=1,2,3",
        *LAUNCHERS["joblib"][:1],
        "hydra.launcher.n_jobs=2",
    )
    pids: list[int] = []
    while len(pids) < 2 and process.poll() is None:
        time.sleep(0.2)
        records = [record_of(path.parent) for path in (tmp_path / "s").glob("?/run.json")]
        pids = [record["environment"]["pid"] for record in records if record["status"] == "running" and record["last"]]
    os.kill(parent_of(parent_of(pids[0])), signal.SIGKILL)  # loky's process, whose server has forked the training
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "keepbest: the launcher has ended with TerminatedWorkerError: " in errors
    assert "Traceback" not in errors
    assert "keepbest: go on with this sweep by `keepbest resume s`" in errors
    assert re.search(r"job +seed +val_loss", output), "the table, as far as it is"
    assert all(map(has_ended, pids))
    assert set(statuses(tmp_path / "s", record_of, 3)) <= {"running", "interrupted", "pending"}
    assert record_of(tmp_path / "s" / "2")["status"] == "pending"


@pytest.mark.slow
def test_no_more_trainings_run_at_a_time_than_wanted_and_what_is_shared_stays_shared(tmp_path, record_of):
    process = command(
        tmp_path,
        "trainer=cpu",
        "trainer.max_epochs=3",
        "callbacks.early_stopping.patience=1,2",
        "seed=1,2",
        *LAUNCHERS["submitit_local"],
        "hydra.sweeper.max_batch_size=1",
    )
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert "4 jobs, 2 trainings of at most 6 epochs instead of 12, in s\n" in output
    one, other = sorted(notes_of(tmp_path), key=lambda note: note["began"])
    assert one["ended"] <= other["began"]
    assert statuses(tmp_path / "s", record_of, 4) == ["completed"] * 4
