"""Kill sweeps with SIGKILL at random instants, the command and all its processes, and resume them until they are done.

    python tests/crash/kill_sweeps.py --kills 20 --directory build/sweeps

A sweep has 24 jobs in 3 shared trainings. After each kill every job that has begun is opened. A job that has its
result keeps it, byte for byte: it is not trained again. A sweep that is completed is compared with an uninterrupted
one, job by job: record, metrics and weights. Prints what it has seen as JSON. `--launcher joblib` runs two trainings
at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from keepbest.reading.run import open_run
from keepbest.sweeping.proof import differences

JOBS, FINISHED = 24, ("completed", "diverged")
SWEEP = [
    "train", "-m", "trainer=cpu", "model.hidden_sizes=[64]", "model.dropout=0.2", "data.batch_size=32",
    "model/scheduler=plateau", "model.scheduler.patience=1", "guards.overlap=false",
    "callbacks.early_stopping.patience=1,2,3,4,5,6,8,10", "seed=1,2,3",
]  # fmt: skip
_SECONDS_TO_START = 8.0  # imports and composition, about


def start(arguments: list[str], place: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "keepbest", *arguments],
            cwd=place, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def below(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *below(child)]
    return found


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and all of its processes, once they are stopped so that none is forked meanwhile."""
    doomed: list[int] = []
    while more := [pid for pid in (process.pid, *below(process.pid)) if pid not in doomed]:
        send(signal.SIGSTOP, more)
        doomed += more
    send(signal.SIGKILL, doomed)
    process.wait()
    while any(map(is_alive, doomed)):  # a process that was killed holds its locks until it has ended
        time.sleep(0.01)


def send(number: signal.Signals, pids: list[int]) -> None:
    """Send a signal to those that live."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def is_alive(pid: int) -> bool:
    """Return whether a thread of a process still runs.

    The first one may be a zombie already while others still hold its files.
    """
    return any(_runs(stat) for stat in Path(f"/proc/{pid}/task").glob("*/stat"))


def _runs(stat: Path) -> bool:
    with suppress(OSError):  # the thread ended since it was listed
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for_an_instant(process: subprocess.Popen[bytes], sweep: Path) -> None:
    """Let time pass: some, from anywhere in the start on, or until a training is on its way and some more."""
    deadline = time.monotonic() + random.uniform(0, _SECONDS_TO_START)
    if random.random() < 0.7:
        before = progress(sweep)
        while process.poll() is None and progress(sweep) == before:
            time.sleep(0.01)
        deadline = time.monotonic() + random.uniform(0, 2.5)
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def progress(sweep: Path) -> list[int]:
    """Return what changes when a training goes on."""
    return [path.stat().st_mtime_ns for path in sorted(sweep.glob("trajectories/*/metrics.csv"))]


def results(sweep: Path) -> dict[str, bytes]:
    """Return the records of the jobs that have their results."""
    contents = {path.parent.name: path.read_bytes() for path in sweep.glob("*/run.json")}
    return {name: content for name, content in contents.items() if json.loads(content)["status"] in FINISHED}


def inspect(sweep: Path, seen: Counter[str]) -> None:
    """Open what a killed sweep has left."""
    for path in sweep.glob("*/run.json"):
        run = open_run(path.parent)
        status = run.record["status"]
        assert status in (*FINISHED, "pending", "interrupted"), f"{path}: {status}"
        seen[status] += 1
        if run.record["best_model_path"]:
            assert run.best_model_path.is_file()  # its hash is compared


def main() -> None:
    """Kill, resume, compare, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--launcher", default="basic")
    options = parser.parse_args()
    random.seed(options.seed)
    options.directory.mkdir(parents=True)
    place, log = options.directory.resolve(), options.directory.resolve() / "log.txt"
    command = [*SWEEP, f"hydra/launcher={options.launcher}"]
    assert start([*command, "hydra.sweep.dir=whole"], place, log).wait() == 0, log.read_text()
    assert len(results(place / "whole")) == JOBS
    seen: Counter[str] = Counter()
    while seen["kills"] < options.kills:
        seen["sweeps"] += 1
        finish_over_and_over(command, place, f"killed{seen['sweeps']}", log, seen, options.kills)
    print(json.dumps(seen))  # noqa: T201


def finish_over_and_over(command: list[str], place: Path, name: str, log: Path, seen: Counter[str], kills: int) -> None:
    """Run one sweep to its end, through kills, and compare it."""
    sweep, arguments = place / name, [*command, f"hydra.sweep.dir={name}"]
    while True:
        known = results(sweep)
        process = start(arguments, place, log)
        if seen["kills"] < kills:
            wait_for_an_instant(process, sweep)
        else:
            process.wait()
        if process.poll() is not None:
            break
        kill(process)
        seen["kills"] += 1
        inspect(sweep, seen)
        now = results(sweep)
        assert {number: now.get(number) for number in known} == known, "a result has changed"
        if (sweep / "sweep.json").exists():
            arguments = ["resume", name]
    assert process.returncode == 0, log.read_text()[-3000:]
    now = results(sweep)
    assert {number: now[number] for number in known} == known, "a result has changed"
    for number in map(str, range(JOBS)):
        found = differences(sweep / number, place / "whole" / number)
        assert not found, f"job {number} of {sweep} differs in {found}"
        seen["equal jobs"] += 1


if __name__ == "__main__":
    main()
