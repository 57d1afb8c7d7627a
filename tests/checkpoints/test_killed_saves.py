"""Whatever the instant at which a training is killed, its best so far is on the disk, and the record names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keepbest.checkpoints.hashing import sha256_of
from keepbest.checkpoints.loading import read_checkpoint
from keepbest.checkpoints.recovery import content_of, settle
from keepbest.records.atomic import PARTIAL_SUFFIX

PROGRAM = Path(__file__).with_name("killed_training.py")
SCORES = [2.0, 3.0, 1.0]  # the program's, by epoch
KEEPERS = {"one name": {"best.ckpt", "last.ckpt"}, "changing names": {"epoch=2.ckpt", "last.ckpt"},
           "two": {"epoch=0.ckpt", "epoch=2.ckpt", "last.ckpt"}}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_whatever_the_instant_of_a_kill_the_best_is_there_and_the_record_names_it(mode: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", str(PROGRAM), mode, str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    for keeper, names in KEEPERS.items():
        directories = sorted((tmp_path / keeper).iterdir(), key=lambda path: int(path.name))
        require_kills_at_every_step(directories, names)
        require_reading_to_change_nothing(directories)
        require_a_recorded_best_that_never_becomes_worse(directories)
        require_a_whole_checkpoint_without_a_record_too(directories)
        require_agreement_after_the_next_start(directories)


def require_kills_at_every_step(directories: list[Path], names: set[str]) -> None:
    assert len(directories) > 30
    assert sum(bool(partials(directory)) for directory in directories) > 15
    assert record_of(directories[0])["best"] is None
    assert {path.name for path in (directories[-1] / "checkpoints").iterdir()} == names, "the last one came to its end"


def require_reading_to_change_nothing(directories: list[Path]) -> None:
    before = modification_times(directories)
    for directory in directories:
        if record_of(directory)["best"]:
            recorded_best(directory)
    assert modification_times(directories) == before


def require_a_recorded_best_that_never_becomes_worse(directories: list[Path]) -> None:
    scores = []
    for directory in directories:
        if record_of(directory)["best"] is None:
            assert not scores, "what was recorded once is not forgotten"
        else:
            scores.append(record_of(directory)["best"]["score"])
            recorded_best(directory)
    assert scores == sorted(scores, reverse=True)
    assert set(scores) == {2.0, 1.0}


def require_a_whole_checkpoint_without_a_record_too(directories: list[Path]) -> None:
    """The new best is on the disk, under its name, before the old one goes."""
    best = [max(SCORES) + 1]
    for directory in directories:
        files = (directory / "checkpoints").glob("*.ckpt")
        scores = [SCORES[read_checkpoint(file, None)["epoch"]] for file in files]  # each of them is whole
        best.append(min(scores, default=best[0]))
    assert best == sorted(best, reverse=True)
    assert best[-1] == min(SCORES)


def require_agreement_after_the_next_start(directories: list[Path]) -> None:
    completed = 0
    for directory in directories:
        checkpoints, record = directory / "checkpoints", record_of(directory)
        completed += recorded_best(directory).name.endswith(PARTIAL_SUFFIX) if record["best"] else 0
        settle(checkpoints, record["files"])
        settle(directory, {})
        assert partials(directory) == []
        there = {file.name: sha256_of(file) for file in checkpoints.glob("*")}
        assert there == {name: record["files"][name] for name in there}
        if record["best"]:
            assert recorded_best(directory) == checkpoints / record["best"]["name"]
    assert completed >= 2, "no kill came between recording and renaming: the test proves nothing"


def record_of(directory: Path) -> dict[str, Any]:
    path = directory / "record.json"
    return json.loads(path.read_text()) if path.exists() else {"files": {}, "best": None}


def recorded_best(directory: Path) -> Path:
    """The recorded best, loadable and of the recorded score."""
    record = record_of(directory)
    name = record["best"]["name"]
    path = content_of(directory / "checkpoints" / name, record["files"][name])
    assert SCORES[read_checkpoint(path, None)["epoch"]] == record["best"]["score"]
    return path


def partials(directory: Path) -> list[str]:
    return [name for _, _, names in os.walk(directory) for name in names if name.endswith(PARTIAL_SUFFIX)]


def modification_times(directories: list[Path]) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for directory in directories for path in directory.rglob("*")}
