"""Kill a training of two gloo ranks at random instants, over and over until it is completed, and compare the results.

    python tests/crash/kill_ranks.py --kills 10 --directory /tmp/ranks

A kill hits the worker's whole process group, its first rank or its second one with SIGKILL, or the process that waits
for the worker with SIGTERM or SIGINT. Nothing may hang, exit with 0 or stay behind. Prints what it has seen as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from kill_over_and_over import OVERRIDES, STATUS_OF, config, create_job, equal, inspect, result, start, wait

from keepbest.training.launch import launch

VICTIMS = ("group", "first rank", "second rank", "SIGTERM", "SIGINT")


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            name_and_rest = place.read_text().rpartition(")")
        except OSError:  # it has ended
            continue
        if int(name_and_rest[2].split()[1]) == pid:
            found.append(int(place.parent.name))
    return found


def kill(pid: int, victim: str) -> str | None:
    """Kill one of a training's processes; return which, None when it was not there yet."""
    workers = children(pid)
    ranks = [rank for worker in workers for rank in children(worker) if is_rank(rank)]
    if victim.startswith("SIG"):
        os.kill(pid, signal.Signals[victim])
    elif victim == "group" and workers:
        os.killpg(workers[0], signal.SIGKILL)
    elif victim == "first rank" and workers:
        os.kill(workers[0], signal.SIGKILL)
    elif victim == "second rank" and ranks:
        os.kill(ranks[0], signal.SIGKILL)
    else:
        return None
    return victim


def require_honest(status: int | None, record: dict[str, Any], victim: str) -> None:
    """Status and record say what happened; a kill may also come when the result is written already."""
    by_signal = victim.startswith("SIG")
    expected = STATUS_OF[signal.Signals[victim]] if by_signal else 1
    ends = {(expected, "interrupted" if by_signal else "failed"), (expected, "completed"), (0, "completed")}
    assert (status, record["status"]) in ends, f"{victim}: status {status}, {record['status']}, {record['error']}"


def is_rank(pid: int) -> bool:
    return b"keepbest.training.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()


def left_behind(job_dir: Path) -> list[str]:
    """Return the command lines of processes that still work on a job."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"worker {job_dir}" in line:
            found.append(line)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", type=Path, required=True)
    chosen = parser.parse_args()
    instants = random.Random(chosen.seed)
    job = config([*OVERRIDES, "trainer=ddp_cpu", "trainer.max_epochs=60"])
    run = lambda job_dir: launch(job_dir, job)  # noqa: E731
    chosen.directory.mkdir(parents=True, exist_ok=True)

    whole = chosen.directory / "whole"
    create_job(whole, "whole", job)
    began = time.monotonic()
    assert wait(start(whole, run)) == 0, whole.with_suffix(".out").read_text()
    seconds = time.monotonic() - began
    wanted = result(whole)

    kills, runs, slowest, seen = 0, 0, 0.0, dict.fromkeys(VICTIMS, 0)
    left: dict[str, int] = {}
    while kills < chosen.kills:
        job_dir = chosen.directory / f"killed{runs}"
        create_job(job_dir, job_dir.name, job)
        while (status := wait(pid := start(job_dir, run), instants.uniform(0, seconds))) is None:
            if kills == chosen.kills:
                status = wait(pid)
                break
            victim = kill(pid, VICTIMS[kills % len(VICTIMS)])
            began = time.monotonic()
            status = wait(pid, 60)
            slowest = max(slowest, time.monotonic() - began)
            if victim is None:
                assert status == 0
                break
            record = json.loads((job_dir / "run.json").read_text())
            require_honest(status, record, victim)
            time.sleep(0.2)  # SIGKILL takes a moment
            assert not left_behind(job_dir)
            kills += 1
            seen[victim] += 1
            if record["status"] == "completed":
                break
            inspect(job_dir, left)
        if status == 0 or record["status"] == "completed":
            got = result(job_dir)
            different = [name for name in wanted if not equal(wanted[name], got[name])]
            assert not different, f"{job_dir}: {different}"
            runs += 1
    print(json.dumps({  # noqa: T201
        "kills": kills, "runs": runs, **seen,
        "seconds_uninterrupted": round(seconds, 2), "slowest_end": round(slowest, 2), **left,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
