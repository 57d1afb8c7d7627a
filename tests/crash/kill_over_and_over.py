"""Kill trainings with SIGKILL at random instants, over and over until they are completed, and compare the results.

    python tests/crash/kill_over_and_over.py --kills 100 --directory /tmp/crash

After each kill the run is opened, and its best and last checkpoints are loaded. A run that completes is compared with
an uninterrupted one: the same metrics.csv, stop, best, tests and weights, bit for bit. Prints what it has seen as JSON.
The trainings are forked from this process, which has imported everything, and are real processes all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
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
from keepbest.training.execute import execute
from keepbest.training.job import create_job
from keepbest.training.session import prepare  # noqa: F401 - imported once, before the forks

OVERRIDES = [
    "trainer=cpu", "trainer.max_epochs=60", "model.dropout=0.2",
    "model/scheduler=plateau", "model.scheduler.patience=1",
    "callbacks.early_stopping.patience=4", "guards.overlap=false",
]  # fmt: skip
RESULTS = (
    "status", "best_model_score", "best_epoch", "best_step", "verified", "stopping", "policy_best", "test",
)  # fmt: skip


def config(overrides: list[str]) -> dict[str, Any]:
    OmegaConf.register_new_resolver("launch_id", new_id, use_cache=True, replace=True)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return resolve(compose("train", overrides))


def start(job_dir: Path) -> int:
    """Fork a process that executes the job; return its number."""
    pid = os.fork()
    if pid:
        return pid
    log = os.open(job_dir.with_suffix(".out"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    status = 1
    try:
        execute(job_dir)
        status = 0
    finally:
        os._exit(status)


def wait(pid: int, seconds: float | None = None) -> int | None:
    """Return the exit status of a process; kill it after some seconds, and return None."""
    end = time.monotonic() + (seconds if seconds is not None else 600)
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def inspect(job_dir: Path, seen: dict[str, int]) -> None:
    """Open what a killed training has left; whatever is recorded must load."""
    run = open_run(job_dir)
    status = run.record["status"]
    assert status in ("pending", "interrupted", "completed"), status
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
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("overrides", nargs="*")
    chosen = parser.parse_args()
    instants = random.Random(chosen.seed)
    job = config([*OVERRIDES, *chosen.overrides])
    chosen.directory.mkdir(parents=True, exist_ok=True)

    whole = chosen.directory / "whole"
    create_job(whole, "whole", job)
    began = time.monotonic()
    if wait(start(whole)) != 0:
        sys.exit(whole.with_suffix(".out").read_text())
    seconds = time.monotonic() - began
    wanted = result(whole)

    kills, runs, seen = 0, 0, {}
    per_run: list[int] = []
    while kills < chosen.kills:
        job_dir = chosen.directory / f"killed{runs}"
        create_job(job_dir, job_dir.name, job)
        of_this = 0
        while (
            status := wait(start(job_dir), instants.uniform(0, 0.6 * seconds) if kills < chosen.kills else None)
        ) is None:
            kills, of_this = kills + 1, of_this + 1
            inspect(job_dir, seen)
        assert status == 0, job_dir.with_suffix(".out").read_text()
        got = result(job_dir)
        different = [name for name in wanted if not equal(wanted[name], got[name])]
        assert not different, f"{job_dir}: {different}"
        runs, per_run = runs + 1, [*per_run, of_this]
    print(json.dumps({  # noqa: T201
        "kills": kills, "runs": runs, "kills_per_run": per_run, "epochs": wanted["epochs_trained"],
        "seconds_uninterrupted": round(seconds, 2), **seen,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
