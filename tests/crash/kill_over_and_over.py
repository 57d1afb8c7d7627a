"""Kill trainings with a signal at random instants, over and over until they are completed, and compare the results.

    python tests/crash/kill_over_and_over.py --kills 100 --directory /tmp/crash
    python tests/crash/kill_over_and_over.py --kills 100 --directory /tmp/term --signal TERM --signal INT

After each kill the run is opened, and its best and last checkpoints are loaded. A run that completes is compared with
an uninterrupted one: the same metrics.csv, stop, best, tests and weights, bit for bit. SIGTERM and SIGINT must also
end the training with their status, a record that says so, and no traceback. Of several signals one is drawn each time.
Prints what it has seen as JSON. The trainings are forked from this process, which has imported everything, and are real
processes all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from keepbest.checkpoints.loading import read_checkpoint
from keepbest.checkpoints.recovery import content_of
from keepbest.composition.resolved import resolve
from keepbest.composition.search_path import conf_dir
from keepbest.reading.run import open_run
from keepbest.records.locations import new_id
from keepbest.training.early_end import interruptions_recorded
from keepbest.training.execute import execute
from keepbest.training.interruption import STATUS_OF, Interrupted, ended_by_signals
from keepbest.training.job import create_job

for name in (  # what a training imports: once, before the forks
    "keepbest.training.session", "keepbest.models.mlp", "keepbest.data.digits", "keepbest.reports.curve",
    "matplotlib.pyplot", "sklearn.datasets",
):  # fmt: skip
    import_module(name)

OVERRIDES = [
    "trainer=cpu", "trainer.max_epochs=60", "model.dropout=0.2",
    "model/scheduler=plateau", "model.scheduler.patience=1",
    "callbacks.early_stopping.patience=4", "guards.overlap=false",
]  # fmt: skip
SECONDS_TO_END = 30
RESULTS = (
    "status", "best_model_score", "best_epoch", "best_step", "verified", "stopping", "policy_best", "test",
)  # fmt: skip


def config(overrides: list[str]) -> dict[str, Any]:
    OmegaConf.register_new_resolver("launch_id", new_id, use_cache=True, replace=True)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return resolve(compose("train", overrides))


def start(job_dir: Path, run: Callable[[Path], object] = execute) -> int:
    """Fork a process that runs the job as the command does; return its number.

    Signals wait until it takes them: what comes before that, no program can take.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STATUS_OF)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STATUS_OF)
        return pid
    os.setpgid(0, 0)
    log = os.open(job_dir.with_suffix(".out"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    status = 1
    try:
        with ended_by_signals(), interruptions_recorded(job_dir):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STATUS_OF)
            run(job_dir)
        status = 0
    except Interrupted as interruption:
        status = interruption.exit_status
    finally:
        os._exit(status)


def wait(pid: int, seconds: float = 600) -> int | None:
    """Return the exit status of a process, None when it has not ended after some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def kill(pid: int, number: signal.Signals, job_dir: Path, *, group: bool = False) -> float:
    """Send a signal to a training, and a second one; it must end as the signal demands. Return the seconds it took."""
    began = time.monotonic()
    for _ in range(2):
        (os.killpg if group else os.kill)(pid, number)
        time.sleep(0.01)
    status = wait(pid, SECONDS_TO_END)
    took = time.monotonic() - began
    record = json.loads((job_dir / "run.json").read_text())["status"]
    said = job_dir.with_suffix(".out").read_text()
    if number is signal.SIGKILL:
        # or it had ended by itself in the moment before
        assert status == -number or (status, record) == (0, "completed"), (
            f"{job_dir}: status {status}, {record}\n{said}"
        )
        return took
    ended = (status, record) in ((STATUS_OF[number], "interrupted"), (STATUS_OF[number], "completed"), (0, "completed"))
    assert ended, f"{job_dir}: {number.name} gave status {status} after {took:.1f} s, record {record}\n{said}"
    assert "Traceback" not in said, said
    assert "Exception ignored" not in said, said
    return took


def inspect(job_dir: Path, seen: dict[str, int]) -> None:
    """Open what a killed training has left; whatever is recorded must load."""
    run = open_run(job_dir)
    status = run.record["status"]
    assert status in ("pending", "interrupted", "failed", "completed"), status  # failed: a rank was killed
    seen[status] = seen.get(status, 0) + 1
    if run.record["best_model_path"]:
        run.load_model()
        seen["best loaded"] = seen.get("best loaded", 0) + 1
    last = run.record["last"]
    if last:
        # after a kill between recording and renaming it still has its temporary name
        read_checkpoint(content_of(job_dir / last["path"], last["sha256"]), None)
        seen["last loaded"] = seen.get("last loaded", 0) + 1


def result(job_dir: Path) -> dict[str, Any]:
    record = json.loads((job_dir / "run.json").read_text())
    found = {name: record[name] for name in RESULTS}
    found["epochs_trained"] = record["timing"]["epochs_trained"]
    found["metrics"] = (job_dir / "metrics.csv").read_text()
    for name in "best", "last":
        content = torch.load(job_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)
        found[name] = {key: content[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "epoch")}
    return found


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", action="append", choices=["KILL", "TERM", "INT"])
    parser.add_argument("--group", action="store_true", help="signal the whole process group, as a terminal does")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("overrides", nargs="*")
    chosen = parser.parse_args()
    instants = random.Random(chosen.seed)
    signals = [signal.Signals[f"SIG{name}"] for name in chosen.signal or ["KILL"]]
    job = config([*OVERRIDES, *chosen.overrides])
    chosen.directory.mkdir(parents=True, exist_ok=True)

    whole = chosen.directory / "whole"
    create_job(whole, "whole", job)
    began = time.monotonic()
    if wait(start(whole)) != 0:
        sys.exit(whole.with_suffix(".out").read_text())
    seconds = time.monotonic() - began
    wanted = result(whole)

    kills, runs, slowest, seen = 0, 0, 0.0, {}
    per_run: list[int] = []
    while kills < chosen.kills:
        job_dir = chosen.directory / f"killed{runs}"
        create_job(job_dir, job_dir.name, job)
        of_this = 0
        while (status := wait(pid := start(job_dir), instants.uniform(0, 0.6 * seconds))) is None:
            if kills == chosen.kills:
                status = wait(pid)
                break
            number = instants.choice(signals)
            slowest = max(slowest, kill(pid, number, job_dir, group=chosen.group))
            kills, of_this = kills + 1, of_this + 1
            seen[number.name] = seen.get(number.name, 0) + 1
            inspect(job_dir, seen)
            if json.loads((job_dir / "run.json").read_text())["status"] == "completed":
                status = 0
                break
        assert status == 0, job_dir.with_suffix(".out").read_text()
        got = result(job_dir)
        different = [name for name in wanted if not equal(wanted[name], got[name])]
        assert not different, f"{job_dir}: {different}"
        runs, per_run = runs + 1, [*per_run, of_this]
    print(json.dumps({  # noqa: T201
        "kills": kills, "runs": runs, "kills_per_run": per_run, "epochs": wanted["epochs_trained"],
        "seconds_uninterrupted": round(seconds, 2), "slowest_end": round(slowest, 2), **seen,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
