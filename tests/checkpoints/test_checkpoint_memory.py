"""A save takes no copy of the model when the training waits for it, and one when it goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEGABYTES = 100
PROGRAM = f"""
import io, os, sys
import torch
from keepbest.checkpoints.async_checkpoint_io import AsyncDurableCheckpointIO
from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO

class InMemory:
    def save_checkpoint(self, checkpoint, path):
        torch.save(checkpoint, io.BytesIO())

    def teardown(self):
        pass

def peak():  # ru_maxrss would count what the process that started this one held
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024

def checkpoint(megabytes):
    return {{"state_dict": {{str(n): torch.ones(megabytes * 1024 * 32) for n in range(8)}}}}

def copies(way):
    way.save_checkpoint(checkpoint(1), sys.argv[1])  # imports what saving needs
    way.teardown()
    large = checkpoint({MEGABYTES})
    before = peak()
    for _ in range(2):
        way.save_checkpoint(large, sys.argv[1])
    way.teardown()
    return (peak() - before) / {MEGABYTES}

for way in (DurableCheckpointIO, AsyncDurableCheckpointIO, InMemory):
    if os.fork() == 0:  # a process of its own, without importing again
        print(way.__name__, copies(way()), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
def test_copies_of_the_model_beyond_the_model(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path / "best.ckpt")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    copies = {name: float(number) for name, number in map(str.split, done.stdout.splitlines())}
    assert copies["DurableCheckpointIO"] < 0.2
    assert 0.8 < copies["AsyncDurableCheckpointIO"] < 1.2
    assert copies["InMemory"] > 0.8, "a copy would not be seen: the test proves nothing"
