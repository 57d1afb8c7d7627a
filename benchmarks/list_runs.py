"""What it costs to list a thousand run directories: keepbest's way beside a plain json.load of the same records.

    python benchmarks/list_runs.py

Fabricates a thousand runs with their configs in a temporary directory. `ls` is the command `keepbest ls`, which looks
at every file's kind, size and place, compares its checksum and checks its whole schema, and prints a table; `where` is
the same with a condition on a setting, for which it reads every config; `plain` is json.load in a loop. Each is a fresh
interpreter, imports included, several times in turn; the seconds are medians of processor time.

Prints JSON. The exit status is 1 when `ls` takes two seconds or more, or loads torch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus, Stopping, Timing, Verification
from keepbest.records.store import write_record

LIMIT = 2.0  # seconds
POLICY = {"mode": "min", "patience": 5, "min_delta": 0.0}
LISTED = """
import io, sys, time
sys.stdout = io.StringIO()
from keepbest.cli.main import main
assert main(["ls", *sys.argv[1:]]) == 0
lines = sys.stdout.getvalue().splitlines()
print(len(lines) - 1, time.process_time(), bool({"torch", "lightning"} & set(sys.modules)), file=sys.__stdout__)
"""
PLAIN = """
import json, pathlib, sys, time
records = [json.loads(path.read_text()) for path in pathlib.Path(sys.argv[1]).glob("runs/*/run.json")]
print(len(records), time.process_time(), False)
"""
CONFIG = """\
objective:
  monitor: val_loss
  mode: min
model:
  _target_: keepbest.models.MLPClassifier
  hidden_sizes:
  - 512
  dropout: 0.1
  optimizer:
    _target_: torch.optim.Adam
    _partial_: true
    lr: {lr}
    betas:
    - 0.9
    - 0.999
data:
  _target_: keepbest.data.Digits
  batch_size: 64
callbacks:
  early_stopping:
    _target_: keepbest.EarlyStopping
    monitor: val_loss
    mode: min
    patience: {patience}
    min_delta: 0.0001
trainer:
  _target_: lightning.pytorch.Trainer
  accelerator: auto
  max_epochs: 100
seed: {seed}
"""


def fabricate(outputs: Path, count: int) -> None:
    """Write the records and configs of runs."""
    versions = dict.fromkeys(
        ("python", "keepbest", "lightning", "torch", "torchmetrics", "hydra-core", "numpy"), "1.2.3"
    )
    for number in range(count):
        directory = outputs / "runs" / f"2026-11-22_{number // 3600:02}-{number // 60 % 60:02}-{number % 60:02}_abcdef"
        directory.mkdir(parents=True)
        config = CONFIG.format(lr=1e-3 * (1 + number), patience=1 + number % 20, seed=number)
        (directory / "config.yaml").write_text(config)
        argv = ["keepbest train", f"seed={number}", f"callbacks.early_stopping.patience={1 + number % 20}"]
        started = f"2026-11-22T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}+00:00"
        score = 0.1 + 1 / (1 + number)
        write_record(directory, RunRecord(
            id=directory.name, status=RunStatus.COMPLETED, objective=Objective("val_loss", "min"), seed=number,
            environment=Environment("0" * 40, False, versions, argv, "host", "/home/me", 1, 4711),
            config_sha256=hashlib.sha256(config.encode()).hexdigest(), best_model_path="checkpoints/best.ckpt",
            best_model_score=score, best_epoch=9, best_step=170, best_sha256="0" * 64, best_bytes=498026,
            verified=Verification(score, 0.0, True), test={"test_loss": 0.1, "test_acc": 0.97},
            stopping=Stopping(POLICY, 14, 15, "patience_exhausted", "val_loss did not improve in 5 checks"),
            timing=Timing(started, started, 4.091, 15), metrics_sha256="0" * 64,
        ))  # fmt: skip


def answer(code: str, *arguments: str) -> tuple[int, float, bool]:
    """Run code in a fresh interpreter; return how many rows there were, its seconds, and whether torch was loaded."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    rows, seconds, is_heavy = done.stdout.split()
    return int(rows), float(seconds), is_heavy == "True"


def measure(runs: int, rounds: int) -> dict[str, object]:
    """Return the seconds of each, and the ratios to the plain reading."""
    with tempfile.TemporaryDirectory() as folder:
        fabricate(Path(folder), runs)
        ways = {"ls": (LISTED, folder), "where": (LISTED, folder, "--where", "patience>=1"), "plain": (PLAIN, folder)}
        answers = [{name: answer(*way) for name, way in ways.items()} for _ in range(rounds)]
    if any(rows != runs or is_heavy for one in answers for rows, _, is_heavy in one.values()):
        raise SystemExit(f"each must read {runs} runs, and none torch, got {answers[0]}")
    seconds = {name: statistics.median(one[name][1] for one in answers) for name in ways}
    return {
        "runs": runs,
        "rounds": rounds,
        **{f"{name}_seconds": round(value, 3) for name, value in seconds.items()},
        "ls_ratio": round(seconds["ls"] / seconds["plain"], 2),
        "where_ratio": round(seconds["where"] / seconds["plain"], 2),
        "limit_seconds": LIMIT,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures = measure(arguments.runs, arguments.rounds)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0 if float(str(figures["ls_seconds"])) < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
