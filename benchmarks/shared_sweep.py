"""What a sweep over stopping settings costs, beside one job of its longest member: whole commands, wall time.

    python benchmarks/shared_sweep.py --rounds 5

Each round runs the single job, the sweep of 16 jobs and that of 256, one after the other, so that they share the noise
of the machine. Prints the median seconds of each, the median over the rounds of the ratios to the single job, and the
epochs that were trained, as JSON. The aims: 16 jobs cost at most 1.25 times the single job, 256 at most 1.5 times, and
train exactly its epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMON = ("trainer=cpu", "model.dropout=0.2", "seed=1")
LONGEST = ("callbacks.early_stopping.patience=16", "callbacks.early_stopping.min_delta=0")
SWEEPS = {
    16: ("callbacks.early_stopping.patience=2,4,8,16", "callbacks.early_stopping.min_delta=0,1e-4,1e-3,1e-2"),
    256: (
        "callbacks.early_stopping.patience=range(1,17)",
        "callbacks.early_stopping.min_delta=0," + ",".join(f"{number}e-4" for number in range(1, 16)),
    ),
}


def run(arguments: list[str], directory: Path) -> float:
    """Run a command; return the seconds it took."""
    command = [sys.executable, "-m", "keepbest", "train", *arguments]
    began = time.perf_counter()
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def epochs_of(directory: Path) -> int:
    """Return how many epochs a training had."""
    return int(json.loads((directory / "run.json").read_text())["timing"]["epochs_trained"])


def one_round(place: Path) -> tuple[dict[str, float], dict[str, int]]:
    """Return the seconds of each command, and the epochs that it trained."""
    seconds = {"single": run([*COMMON, *LONGEST, "hydra.run.dir=single"], place)}
    epochs = {"single": epochs_of(place / "single")}
    for jobs, grid in SWEEPS.items():
        name = f"sweep of {jobs}"
        seconds[name] = run(["-m", *COMMON, *grid, f"hydra.sweep.dir=sweep{jobs}"], place)
        (training,) = (place / f"sweep{jobs}" / "trajectories").iterdir()
        epochs[name] = epochs_of(training)
    return seconds, epochs


def main() -> None:
    """Run the rounds, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as place:
            results.append(one_round(Path(place)))
    names = list(results[0][0])
    print(json.dumps({  # noqa: T201
        "rounds": rounds,
        "seconds": {name: round(statistics.median(seconds[name] for seconds, _ in results), 2) for name in names},
        "ratio to single": {
            name: round(statistics.median(seconds[name] / seconds["single"] for seconds, _ in results), 3)
            for name in names[1:]
        },
        "epochs": results[0][1],
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
