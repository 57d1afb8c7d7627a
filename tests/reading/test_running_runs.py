"""A run that is trained while it is open: what its training replaces is no damage, and what is damaged still is."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import keepbest
from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.errors import IntegrityError, RecordError
from keepbest.records.ownership import owned
from keepbest.records.run_record import RunStatus
from keepbest.records.store import read_record, write_record

Keep = Callable[..., None]


@pytest.fixture
def running(copied: Path, edit_record: Callable[..., None]) -> Iterator[Path]:
    """A run in training: its record says so, and this process holds it."""
    edit_record(copied, status="running", metrics_sha256=None)
    with owned(copied):
        yield copied


@pytest.fixture
def keep(copied: Path) -> Keep:
    """Keep a new best as a training does, each of its weights being `value`: recorded first, then renamed."""
    best = copied / "checkpoints" / "best.ckpt"
    content = torch.load(best, weights_only=True)

    def keep(value: int, **facts: object) -> None:
        def record(path: Path, sha256: str, size: int) -> None:
            known = {"best_model_path": "checkpoints/best.ckpt", "best_model_score": 0.1, "best_step": value, **facts}
            old = read_record(copied)
            write_record(copied, dataclasses.replace(old, **known, best_sha256=sha256, best_bytes=size))

        weights = {name: torch.full_like(weight, value) for name, weight in content["state_dict"].items()}
        padding = torch.zeros(value % 5)  # another size
        checkpoint = {**content, "state_dict": weights, "padding": padding}
        DurableCheckpointIO(before_replace=record).save_checkpoint(checkpoint, best)

    return keep


def value_of(model: torch.nn.Module) -> set[float]:
    return {value for weight in model.state_dict().values() for value in weight.unique().tolist()}


def test_a_best_that_was_replaced_since_is_loaded_with_its_record(running: Path, keep: Keep) -> None:
    run, other = keepbest.open_run(running), keepbest.open_run(running)
    assert run.record["status"] == "running"
    for value in (3, 4):
        keep(value)
        assert value_of(run.load_model()) == {value}
        assert run.record["best_step"] == value
    assert other.best_model_path == running / "checkpoints" / "best.ckpt"
    assert other.record["best_step"] == 4


def test_the_last_best_of_a_training_that_has_ended_since_is_loaded(running: Path, keep: Keep) -> None:
    run = keepbest.open_run(running)
    keep(3, status=RunStatus.COMPLETED)
    assert value_of(run.load_model()) == {3}
    assert run.record["status"] == "completed"


def test_a_run_that_was_opened_before_somebody_went_on_with_it_is_read_anew(
    copied: Path, keep: Keep, edit_record: Callable[..., None]
) -> None:
    edit_record(copied, status="interrupted")
    run = keepbest.open_run(copied)
    keep(3)
    assert value_of(run.load_model()) == {3}


def test_the_first_best_may_come_after_the_run_was_opened(
    running: Path, keep: Keep, edit_record: Callable[..., None]
) -> None:
    edit_record(running, best_model_path=None, best_model_score=None, best_sha256=None, best_bytes=None)
    (running / "checkpoints" / "best.ckpt").unlink()
    run = keepbest.open_run(running)
    with pytest.raises(RecordError, match="the run has no best model: it is running"):
        run.load_model()
    keep(3)
    assert value_of(run.load_model()) == {3}


def test_a_training_that_replaces_its_best_all_the_time_raises_no_false_alarm(running: Path, keep: Keep) -> None:
    """What was compared is what is loaded, whichever moment it was."""
    stop, failures = threading.Event(), list[BaseException]()

    def train() -> None:
        value = 0
        try:
            while not stop.is_set():
                keep(value := value + 1)
        except BaseException as error:  # noqa: BLE001 - it is raised below
            failures.append(error)

    keep(0)
    run, training = keepbest.open_run(running), threading.Thread(target=train)
    training.start()
    try:
        seen = set()
        for _ in range(60):
            (value,) = value_of(run.load_model())
            assert value == run.record["best_step"]
            seen.add(value)
    finally:
        stop.set()
        training.join()
    assert failures == []
    assert len(seen) > 1, "nothing was replaced meanwhile: the test proves nothing"


@pytest.mark.parametrize("damage", ["flip", "cut", "more", "gone"])
def test_damage_to_a_running_run_is_damage(running: Path, damage: str) -> None:
    path = running / "checkpoints" / "best.ckpt"
    whole = path.read_bytes()
    path.write_bytes({"flip": b"X" + whole[1:], "cut": whole[:-1], "more": whole + b"X", "gone": b""}[damage])
    if damage == "gone":
        path.unlink()
    with pytest.raises((IntegrityError, RecordError), match=r"was recorded (as|with)|does not exist"):
        keepbest.open_run(running).load_model()


def test_a_record_that_is_damaged_while_the_run_is_open_is_told(running: Path, keep: Keep) -> None:
    run = keepbest.open_run(running)
    text = (running / "run.json").read_text()
    (running / "run.json").write_text(text.replace("val_loss", "val_lost"))
    with pytest.raises(IntegrityError, match="a record must have the checksum it was written with"):
        run.load_model()


# Metrics


@pytest.mark.parametrize("status", ["running", "pending", "interrupted", "failed"])
def test_metrics_before_the_first_check_say_how_the_run_stands(
    copied: Path, edit_record: Callable[..., None], status: str
) -> None:
    edit_record(copied, status=status, metrics_sha256=None)
    (copied / "metrics.csv").unlink()
    with owned(copied):
        run = keepbest.open_run(copied)
        message = rf"begin with its first check: the run is {status}, and .*metrics\.csv does not exist"
        with pytest.raises(RecordError, match=message):
            _ = run.metrics
        (copied / "metrics.csv").write_text("epoch,step,val_loss\n0,1,0.5\n")
        assert run.metrics.val_loss.tolist() == [0.5]


def test_the_metrics_of_a_run_that_has_ended_since_are_compared_with_its_new_record(
    running: Path, edit_record: Callable[..., None]
) -> None:
    run = keepbest.open_run(running)
    edit_record(running, status="completed", metrics_sha256="0" * 64)
    with pytest.raises(IntegrityError, match="a table of metrics must have the sha256"):
        _ = run.metrics
