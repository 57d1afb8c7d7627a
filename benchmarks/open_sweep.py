"""What it costs to open a sweep and make its table: keepbest's way beside a plain json.load of the same files.

    python benchmarks/open_sweep.py

Fabricates a sweep of a thousand completed jobs in a temporary directory. `keepbest` looks at every file's kind, size
and place, compares its checksum and checks its whole schema, then makes a typed table; `plain` is what a notebook would
write: json.load in a loop and pandas.DataFrame, nothing checked. Each is run in a fresh interpreter, imports included,
several times in turn; the seconds are the medians of wall-clock times. `again` is a second table of the same sweep.

Prints JSON. The exit status is 1 when keepbest takes two seconds or more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus, Stopping, Timing, Verification
from keepbest.records.store import write_record, write_sweep
from keepbest.records.sweep_record import SweepJob, SweepRecord

LIMIT = 2.0  # seconds
POLICY = {
    "mode": "min", "patience": 5, "min_delta": 0.0, "baseline": None, "start_from_epoch": 0, "stopping_threshold": None,
    "divergence_threshold": None, "check_finite": True, "min_epochs": 0,
}  # fmt: skip
KEEPBEST = """
import sys, time
began = time.perf_counter()
import keepbest
sweep = keepbest.open_sweep(sys.argv[1])
table = sweep.table()
first = time.perf_counter()
sweep.table()
print(len(table), first - began, time.perf_counter() - first, "torch" in sys.modules)
"""
PLAIN = """
import sys, time
began = time.perf_counter()
import json, pathlib, pandas
place = pathlib.Path(sys.argv[1])
jobs = json.loads((place / "sweep.json").read_text())["jobs"]
rows = []
for job in jobs:
    with open(place / job["directory"] / "run.json") as file:
        record = json.load(file)
    rows.append({**dict(text.split("=") for text in job["overrides"]), "score": record["best_model_score"],
                 "best_epoch": record["best_epoch"], "stopped_epoch": record["stopping"]["stopped_epoch"],
                 "reason": record["stopping"]["reason"], "status": record["status"]})
table = pandas.DataFrame(rows)
print(len(table), time.perf_counter() - began)
"""


def fabricate(sweep_dir: Path, count: int) -> None:
    """Write the records of a sweep."""
    versions = dict.fromkeys(
        ("python", "keepbest", "lightning", "torch", "torchmetrics", "hydra-core", "numpy"), "1.2.3"
    )
    environment = Environment("0" * 40, False, versions, ["keepbest", "train", "-m"], "host", "/home/me", 1, 4711)
    jobs = []
    for number in range(count):
        patience, min_delta = 1 + number // 20, number % 20 * 1e-4
        directory = sweep_dir / str(number)
        directory.mkdir()
        score = 0.1 + 1 / (1 + number)
        write_record(directory, RunRecord(
            id=f"{sweep_dir.name}/{number}", status=RunStatus.COMPLETED, objective=Objective("val_loss", "min"),
            seed=42, environment=environment, config_sha256="0" * 64, best_model_path="checkpoints/best.ckpt",
            best_model_score=score, best_epoch=9, best_step=170, best_sha256="0" * 64, best_bytes=498026,
            verified=Verification(score, 0.0, True), test={"test_loss": 0.1, "test_acc": 0.97},
            stopping=Stopping(POLICY, 14, 15, "patience_exhausted", "val_loss did not improve in 5 checks"),
            timing=Timing("2026-11-22T14:31:34+00:00", "2026-11-22T14:31:49+00:00", 4.091, 15), metrics_sha256="0" * 64,
        ))  # fmt: skip
        overrides = [f"callbacks.early_stopping.patience={patience}", f"callbacks.early_stopping.min_delta={min_delta}"]
        jobs.append(SweepJob(number, str(number), overrides, "0" * 64, None, None, RunStatus.COMPLETED))
    write_sweep(sweep_dir, SweepRecord(sweep_dir.name, ["-m"], environment, jobs))


def answer(code: str, sweep_dir: Path) -> list[str]:
    """Run code in a fresh interpreter; return the words that it prints."""
    done = subprocess.run([sys.executable, "-c", code, str(sweep_dir)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def measure(jobs: int, rounds: int) -> dict[str, object]:
    """Return the seconds of both, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        sweep_dir = Path(folder) / "sweep"
        sweep_dir.mkdir()
        fabricate(sweep_dir, jobs)
        pairs = [(answer(KEEPBEST, sweep_dir), answer(PLAIN, sweep_dir)) for _ in range(rounds)]
    for ours, theirs in pairs:
        if (int(ours[0]), int(theirs[0]), ours[3]) != (jobs, jobs, "False"):
            raise SystemExit(f"both must read {jobs} jobs, and neither torch, got {ours} and {theirs}")
    keepbest, again = (statistics.median(float(ours[place]) for ours, _ in pairs) for place in (1, 2))
    plain = statistics.median(float(theirs[1]) for _, theirs in pairs)
    return {
        "jobs": jobs,
        "rounds": rounds,
        "keepbest_seconds": round(keepbest, 3),
        "again_seconds": round(again, 3),
        "plain_seconds": round(plain, 3),
        "ratio": round(keepbest / plain, 2),
        "limit_seconds": LIMIT,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures = measure(arguments.jobs, arguments.rounds)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0 if float(str(figures["keepbest_seconds"])) < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
