"""Disks that fill up or refuse under a real training: no best is torn or lost, nothing hangs, and nothing exits 0."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keepbest.checkpoints.hashing import sha256_of
from keepbest.checkpoints.loading import read_checkpoint, require_checksums
from keepbest.records.atomic import partials_in
from keepbest.records.metrics_table import METRICS_FILE, read_metrics

Start = Callable[..., "subprocess.Popen[str]"]
ASYNC = "+trainer.plugins={_target_: keepbest.checkpoints.async_checkpoint_io.AsyncDurableCheckpointIO}"
MODES = [pytest.param([], id="sync"), pytest.param([ASYNC], id="async", marks=pytest.mark.slow)]
SECONDS = 180


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `keepbest train` in a process of its own; none outlives the test."""
    processes: list[subprocess.Popen[str]] = []

    def train(*overrides: str, env: dict[str, str] | None = None, umask: int = -1) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "keepbest", "train", "trainer=cpu", "guards.overlap=false", *overrides]
        process = subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, **(env or {})}, umask=umask, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        processes.append(process)
        return process

    yield train
    for process in processes:
        process.kill()
        process.communicate()


def require_whole(path: Path) -> int:
    """The checkpoint is whole and loads; return its epoch."""
    require_checksums(path)
    return int(read_checkpoint(path, None)["epoch"])


def require_agreement(run_dir: Path) -> dict[str, Any]:
    """The record names the best checkpoint that is there: its content and the score of its epoch."""
    record: dict[str, Any] = json.loads((run_dir / "run.json").read_text())
    best = run_dir / record["best_model_path"]
    epoch = require_whole(best)
    metrics = read_metrics(run_dir / METRICS_FILE)
    score = metrics["val_loss"][metrics["epoch"].index(epoch)]
    assert (record["best_sha256"], record["best_bytes"]) == (sha256_of(best), best.stat().st_size)
    assert (record["best_epoch"], record["best_model_score"]) == (epoch, score)
    return record


@pytest.mark.parametrize("mode", MODES)
def test_a_disk_that_fills_up_during_a_save(disk_of: Callable[[str], Path], start: Start, mode: list[str]) -> None:
    """Best and last fit on it; the next best does not fit beside them."""
    run_dir = disk_of("4m") / "run"
    overrides = ["model.hidden_sizes=[2048]", "trainer.max_epochs=8", f"hydra.run.dir={run_dir}"]
    process = start(*overrides, *mode)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert f"the checkpoint {run_dir / 'checkpoints' / 'best.ckpt'} could not be written: No space left" in errors
    assert "Free some space on that disk" in errors
    assert partials_in(run_dir / "checkpoints") == partials_in(run_dir) == {}
    assert require_whole(run_dir / "checkpoints" / "last.ckpt") == 0
    assert require_agreement(run_dir)["status"] == "failed"


def test_a_disk_on_which_nothing_fits(disk_of: Callable[[str], Path], start: Start) -> None:
    run_dir = disk_of("64k") / "run"
    process = start(f"hydra.run.dir={run_dir}")
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "No space left on device. Free some space on that disk" in errors
    record = json.loads((run_dir / "run.json").read_text())
    assert (record["status"], record["best_model_path"], record["best_model_score"]) == ("failed", None, None)
    assert list((run_dir / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_directory_that_becomes_read_only(
    tmp_path: Path, disk_of: Callable[..., Path], start: Start, mode: list[str]
) -> None:
    """That of the checkpoints, in the middle of a training; the run's own stays writable."""
    run_dir = tmp_path / "run"
    place = disk_of("64m", run_dir / "checkpoints")
    overrides = ["trainer.max_epochs=100000", "callbacks.early_stopping.patience=100000", f"hydra.run.dir={run_dir}"]
    process = start(*overrides, *mode)
    wait_for(lambda: (place / "last.ckpt").exists() or process.poll() is not None)
    wait_for(lambda: became_read_only(place))
    kept = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in place.glob("*.ckpt")}
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "could not be written: Read-only file system. Choose a directory on a writable disk" in errors
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in place.glob("*.ckpt")} == kept
    assert {"best.ckpt", "last.ckpt"} == set(kept)
    for path in place.glob("*.ckpt"):
        require_whole(path)
    assert json.loads((run_dir / "run.json").read_text())["status"] == "failed"


def became_read_only(place: Path) -> bool:
    """Try; as long as a file there is being written it is refused."""
    command = ["mount", "-o", "remount,ro", str(place)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_directory_on_a_read_only_disk(
    disk_of: Callable[[str], Path], make_read_only: Callable[[Path], None], start: Start
) -> None:
    place = disk_of("1m")
    make_read_only(place)
    process = start(f"hydra.run.dir={place / 'run'}")
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode not in (0, None)
    assert "Read-only file system" in errors


@pytest.mark.parametrize("mode", MODES)
def test_temporary_files_on_another_file_system(
    tmp_path: Path, disk_of: Callable[[str], Path], start: Start, mode: list[str]
) -> None:
    """$TMPDIR is a disk that is full: nothing goes there, and permissions follow the umask all the same."""
    elsewhere, run_dir = disk_of("16k"), tmp_path / "run"
    (elsewhere / "everything").write_bytes(bytes(8192))
    overrides = ["trainer.max_epochs=3", f"hydra.run.dir={run_dir}", *mode]
    process = start(*overrides, env={"TMPDIR": str(elsewhere)}, umask=0o027)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    require_agreement(run_dir)
    assert [path.name for path in elsewhere.rglob("*") if path.is_file()] == ["everything"]  # torch makes a folder
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (run_dir / "checkpoints").iterdir()}
    assert modes == {"best.ckpt": 0o640, "last.ckpt": 0o640}


WRITER = """
import sys
from pathlib import Path
import torch
from keepbest.checkpoints.writing import write_checkpoint

target, number = Path(sys.argv[1]), int(sys.argv[2])
for n in range(60):
    weights = torch.full((100_000 + 1000 * n,), float(number))
    write_checkpoint({"epoch": number, "state_dict": {"weight": weights}}, target)
"""


def test_two_processes_that_write_one_file_never_tear_it(tmp_path: Path) -> None:
    target = tmp_path / "best.ckpt"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(target), str(number)]) for number in (1, 2)]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if target.exists():
            content = read_checkpoint(target, None)
            assert (content["state_dict"]["weight"] == content["epoch"]).all()
            seen.add(content["epoch"])
    assert [writer.returncode for writer in writers] == [0, 0]
    require_whole(target)
    assert seen == {1, 2}, "they did not write at once: the test proves nothing"
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]
