"""The loop that people copy from the README, as a script in an empty directory: what the text promises holds."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
LOOP = re.findall(r"^## In a plain PyTorch loop\n.*?^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)

# What a reader would type below the loop, after it has run to its end.
PROBE = """
import json, runpy

names = runpy.run_path("loop.py")
state, best = names["state"], names["best"]
answer = {"stopped": state.stopped_epoch, "score": best.score, "epoch": best.epoch, "again": names["validate"]()}
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make a directory with nothing in it but the loop."""

    def make(name: str) -> Path:
        place = tmp_path_factory.mktemp(name)
        (place / "loop.py").write_text(LOOP[0], encoding="utf-8")
        return place

    return make


def run(place: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=place, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def trained_epochs(output: str) -> list[int]:
    return [int(number) for number in re.findall(r"^epoch +(\d+) ", output, re.MULTILINE)]


def saved(place: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(place / "last.ckpt", weights_only=True)
    return content


@pytest.fixture(scope="module")
def uninterrupted(directory: Callable[[str], Path]) -> tuple[Path, str]:
    place = directory("uninterrupted")
    return place, run(place, "loop.py")


def test_it_is_there_once_and_is_about_ten_lines() -> None:
    (block,) = LOOP
    loop = block[block.index("state = keepbest.StoppingPolicy") :]
    assert len([line for line in loop.splitlines() if line.strip()]) <= 15


def test_it_stops_early_and_restores_the_best_weights(uninterrupted: tuple[Path, str]) -> None:
    place, output = uninterrupted
    state = saved(place)["parts"]["state"]
    assert state["reason"] == "patience_exhausted"
    assert trained_epochs(output) == list(range(state["stopped_epoch"] + 1))
    assert state["stopped_epoch"] < 99
    shown, again = re.findall(r"restored the weights of epoch \d+: val_loss (\S+), again (\S+)", output)[0]
    assert shown == again


def test_run_again_it_trains_nothing_and_has_the_best_weights_still(uninterrupted: tuple[Path, str]) -> None:
    place, first = uninterrupted
    before = (place / "last.ckpt").read_bytes()
    output = run(place, "-c", PROBE)
    assert trained_epochs(output) == []
    assert output.splitlines()[0] == first.splitlines()[-1]
    assert (place / "last.ckpt").read_bytes() == before
    answer = json.loads(output.splitlines()[-1])
    assert answer["again"] == answer["score"], "the weights in the model give the score they were kept for, exactly"
    assert answer["stopped"] == trained_epochs(first)[-1] > answer["epoch"], "and they are not the last ones"


def test_killed_and_run_again_it_gives_the_same_bit_for_bit(
    uninterrupted: tuple[Path, str], directory: Callable[[str], Path], same: Callable[[Any, Any], bool]
) -> None:
    whole, output = uninterrupted
    stop = trained_epochs(output)[-1]
    place = directory("killed")
    for epoch in (2, stop // 2):
        kill_after(place, epoch)
        last = saved(place)
        assert epoch <= last["epoch"] < stop, "it was killed in the middle"
        assert last["parts"]["state"]["reason"] is None
    resumed = run(place, "loop.py")
    assert trained_epochs(resumed) == list(range(last["epoch"] + 1, stop + 1))
    assert resumed.splitlines()[-1] == output.splitlines()[-1]
    found, expected = saved(place), saved(whole)
    assert same(found["parts"], expected["parts"]), "stop, best weights, last weights, optimizer, scheduler"
    assert same(found["random_state"]["torch"], expected["random_state"]["torch"]), "the one that the script seeds"


def kill_after(place: Path, epoch: int) -> None:
    """Run the loop and kill it when it has said that an epoch is complete."""
    command = [sys.executable, "-u", "loop.py"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if trained_epochs(line) == [epoch]:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
