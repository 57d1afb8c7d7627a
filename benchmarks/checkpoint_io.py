"""How long a training stands still for a checkpoint, and what memory that takes: keepbest's ways beside Lightning's.

    python benchmarks/checkpoint_io.py --megabytes 100 --rounds 9

All four ways save the same model in turns, in one process. `stands still` is the time that `save_checkpoint` takes, and
its ratio to keepbest's way that waits; `slower` is what a computation of half a second right after it loses to the
writing. Both are medians. `copies` is the peak memory beyond the model, in models, of a process of its own that saves
three times in a row. Lightning's ways flush nothing to the disk.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.plugins.io import AsyncCheckpointIO

from keepbest.checkpoints.async_checkpoint_io import AsyncDurableCheckpointIO
from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO

WAYS = {
    "keepbest, waits": DurableCheckpointIO,
    "keepbest, in a thread": AsyncDurableCheckpointIO,
    "Lightning, waits": TorchCheckpointIO,
    "Lightning, in a thread": lambda: AsyncCheckpointIO(TorchCheckpointIO()),
}
LAYERS = 10
COMPUTING = 0.5  # seconds


def checkpoint_of(megabytes: float) -> dict[str, Any]:
    """Return a checkpoint of that size."""
    numbers = int(megabytes * 1e6 / 4 / LAYERS)
    return {"epoch": 0, "state_dict": {f"layer{n}.weight": torch.rand(numbers) for n in range(LAYERS)}}


def steps(number: int) -> float:
    """Compute as a training does, and return how long that took."""
    weights, started = torch.rand(256, 256), time.perf_counter()
    for _ in range(number):
        weights = torch.tanh(weights @ weights)
    return time.perf_counter() - started


def timed(way: Any, checkpoint: dict[str, Any], path: Path, number: int) -> tuple[float, float]:
    """Return how long one save takes, and the computation after it."""
    started = time.perf_counter()
    way.save_checkpoint(checkpoint, path)
    blocked = time.perf_counter() - started
    computed = steps(number)
    way.teardown()
    return blocked, computed


def compare(megabytes: float, rounds: int, folder: Path) -> None:
    """Print a line for each way."""
    checkpoint, times = checkpoint_of(megabytes), defaultdict(list)
    ways = {name: make() for name, make in WAYS.items()}
    number = int(2000 * COMPUTING / steps(2000))
    for round_ in range(rounds + 1):
        alone = steps(number)
        for name, way in ways.items():
            blocked, computed = timed(way, checkpoint, folder / f"{name}.ckpt", number)
            if round_:  # the first one warms up
                times[name].append((blocked, computed - alone))
    medians = {
        name: [1000 * statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in times.items()
    }
    reference = medians["keepbest, waits"][0]
    show(f"{megabytes:g} MB, {rounds} rounds", "stands still", "ratio", "slower", "copies")
    for name, (blocked, slower) in medians.items():
        numbers = f"{blocked:.0f} ms", f"{blocked / reference:.2f}", f"{slower:.0f} ms"
        show(name, *numbers, f"{copies(name, megabytes, folder):.2f}")


def show(*cells: str) -> None:
    """Print a line of a table."""
    sys.stdout.write(f"{cells[0]:24}" + "".join(f"{cell:>14}" for cell in cells[1:]) + "\n")


def copies(name: str, megabytes: float, folder: Path) -> float:
    """Return the peak memory beyond the model of a process of its own, in models."""
    command = [sys.executable, __file__, "--memory-of", name, "--megabytes", str(megabytes), "--directory", str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(name: str, megabytes: float, folder: Path) -> None:
    """Save three times, and print the peak."""
    way = WAYS[name]()
    way.save_checkpoint(checkpoint_of(1), folder / "small.ckpt")  # loads what saving needs
    way.teardown()
    checkpoint = checkpoint_of(megabytes)
    before = peak_bytes()
    for _ in range(3):
        way.save_checkpoint(checkpoint, folder / "memory.ckpt")
    way.teardown()
    sys.stdout.write(f"{(peak_bytes() - before) / (megabytes * 1e6)}\n")


def peak_bytes() -> int:
    """Return the most memory that this process ever held; `ru_maxrss` would count its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def main() -> None:
    """Compare, or measure one way's memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--directory", type=Path, help="where to write; a temporary directory if not given")
    parser.add_argument("--memory-of", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        if arguments.memory_of:
            measure_memory(arguments.memory_of, arguments.megabytes, Path(folder))
        else:
            compare(arguments.megabytes, arguments.rounds, Path(folder))


if __name__ == "__main__":
    main()
