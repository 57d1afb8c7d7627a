"""The training goes on while a checkpoint is written, and loses none of the guarantees by it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

import keepbest
from keepbest.checkpoints.async_checkpoint_io import AsyncDurableCheckpointIO
from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.checkpoints.hashing import sha256_of
from keepbest.errors import KeepbestError

Make = Callable[..., dict[str, Any]]
SECONDS = 20


class Gate:
    """Holds the thread back before a checkpoint takes its place, until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened, self.failure = threading.Event(), threading.Event(), None

    def __call__(self, target: Path, sha256: str, size: int) -> None:
        self.reached.set()
        assert self.opened.wait(SECONDS)
        if self.failure:
            raise self.failure


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def io(gate: Gate) -> Iterator[AsyncDurableCheckpointIO]:
    io = AsyncDurableCheckpointIO(gate)
    yield io
    gate.opened.set()
    io.teardown()


def epoch_in(path: Path) -> int:
    return int(torch.load(path, weights_only=True)["epoch"])


def in_a_thread(function: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start a function, and give its results."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    return thread, results


def test_a_save_returns_before_the_checkpoint_is_written(
    io: AsyncDurableCheckpointIO, gate: Gate, tmp_path: Path, checkpoint: Make
) -> None:
    io.save_checkpoint(checkpoint(), tmp_path / "best.ckpt")
    assert not (tmp_path / "best.ckpt").exists()
    gate.opened.set()
    io.wait()
    assert io.sha256 == {tmp_path / "best.ckpt": sha256_of(tmp_path / "best.ckpt")}


def test_the_checkpoint_is_that_of_the_moment_of_the_save(
    io: AsyncDurableCheckpointIO, gate: Gate, tmp_path: Path, checkpoint: Make
) -> None:
    content = checkpoint(4, callbacks={"keeper": {"seen": [1]}})
    io.save_checkpoint(content, tmp_path / "best.ckpt")
    content["state_dict"]["layer.weight"].fill_(9)
    content["callbacks"]["keeper"]["seen"].append(2)
    gate.opened.set()
    io.wait()
    found = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert found["state_dict"]["layer.weight"].tolist() == [0, 1, 2, 3]
    assert found["callbacks"] == {"keeper": {"seen": [1]}}


def test_the_file_is_that_of_the_mode_that_waits(tmp_path: Path, checkpoint: Make) -> None:
    content = checkpoint(1000, hyper_parameters={"lr": 0.1}, callbacks={"a": {"n": [1, None]}})
    hashes = []
    for io in (DurableCheckpointIO(), AsyncDurableCheckpointIO()):
        io.save_checkpoint(content, tmp_path / "best.ckpt")
        hashes += io.sha256.values()
        io.teardown()
    assert hashes[0] == hashes[1] == sha256_of(tmp_path / "best.ckpt")


def test_the_old_best_goes_when_the_new_one_is_on_the_disk(
    io: AsyncDurableCheckpointIO, gate: Gate, tmp_path: Path, checkpoint: Make
) -> None:
    gate.opened.set()
    io.save_checkpoint(checkpoint(), tmp_path / "old.ckpt")
    io.wait()
    gate.opened.clear()
    gate.reached.clear()
    io.save_checkpoint(checkpoint(), tmp_path / "new.ckpt")
    io.remove_checkpoint(tmp_path / "old.ckpt")
    assert gate.reached.wait(SECONDS)
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["old.ckpt"]
    gate.opened.set()
    io.wait()
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["new.ckpt"]
    assert list(io.sha256) == [tmp_path / "new.ckpt"]


def test_the_old_best_stays_when_the_new_one_cannot_be_written(
    io: AsyncDurableCheckpointIO, gate: Gate, tmp_path: Path, checkpoint: Make, caplog: pytest.LogCaptureFixture
) -> None:
    gate.opened.set()
    io.save_checkpoint(checkpoint(), tmp_path / "old.ckpt")
    io.wait()
    gate.failure = OSError(28, "No space left on device")
    io.save_checkpoint(checkpoint(), tmp_path / "new.ckpt")
    io.remove_checkpoint(tmp_path / "old.ckpt")
    assert list(io.sha256) == [tmp_path / "old.ckpt"], "asking does not raise, and tells what there is"
    assert "new.ckpt could not be written: No space left on device" in caplog.text
    with pytest.raises(KeepbestError, match=r"new\.ckpt could not be written: No space left on device"):
        io.teardown()
    assert [path.name for path in tmp_path.iterdir()] == ["old.ckpt"]


@pytest.mark.parametrize("ask", ["save", "wait", "load", "teardown"])
def test_a_failure_is_raised_once_by_whatever_comes_next(
    io: AsyncDurableCheckpointIO, gate: Gate, tmp_path: Path, checkpoint: Make, ask: str
) -> None:
    path, gate.failure = tmp_path / "best.ckpt", OSError(28, "No space left on device")
    gate.opened.set()
    io.save_checkpoint(checkpoint(), path)
    asking = {
        "save": lambda: io.save_checkpoint(checkpoint(), path),
        "wait": io.wait,
        "load": lambda: io.load_checkpoint(path),
        "teardown": io.teardown,
    }
    with pytest.raises(KeepbestError, match="No space left on device"):
        asking[ask]()
    gate.failure = None
    io.save_checkpoint(checkpoint(), path)
    io.teardown()
    assert path.exists()


@pytest.mark.parametrize("ask", ["save", "sha256", "load", "teardown"])
def test_who_needs_the_checkpoint_waits_for_it(
    io: AsyncDurableCheckpointIO, gate: Gate, tmp_path: Path, checkpoint: Make, ask: str
) -> None:
    path = tmp_path / "best.ckpt"
    io.save_checkpoint(checkpoint(), path)
    asking = {
        "save": lambda: io.save_checkpoint(checkpoint(), tmp_path / "other.ckpt"),
        "sha256": lambda: io.sha256[path],
        "load": lambda: io.load_checkpoint(path)["epoch"],
        "teardown": io.teardown,
    }
    thread, results = in_a_thread(asking[ask])
    thread.join(0.2)
    assert results == []
    gate.opened.set()
    thread.join(SECONDS)
    assert results == [{"sha256": sha256_of(path), "load": 1}.get(ask)]


def test_what_records_a_checkpoint_may_ask_for_the_others(tmp_path: Path, checkpoint: Make) -> None:
    """It runs in the thread that it would wait for."""
    told: list[list[Path]] = []
    io = AsyncDurableCheckpointIO(lambda *facts: told.append(list(io.sha256)))
    for name in ("a", "b"):
        io.save_checkpoint(checkpoint(), tmp_path / name)
    thread, _ = in_a_thread(io.teardown)
    thread.join(SECONDS)
    assert told == [[], [tmp_path / "a"]]


def test_what_is_recorded_about_a_save_is_noted_before_the_training_goes_on(
    io: AsyncDurableCheckpointIO, gate: Gate, tmp_path: Path, checkpoint: Make
) -> None:
    noted: list[tuple[str, int]] = []
    io.before_save = lambda target: noted.append((target.name, threading.get_ident()))
    io.save_checkpoint(checkpoint(), tmp_path / "a")
    assert noted == [("a", threading.get_ident())]
    thread, _ = in_a_thread(lambda: io.save_checkpoint(checkpoint(), tmp_path / "b"))
    thread.join(0.2)
    assert len(noted) == 1, "not while the save before it is still to be recorded"
    gate.opened.set()
    thread.join(SECONDS)
    assert [name for name, _ in noted] == ["a", "b"]


def test_after_teardown_it_saves_again(tmp_path: Path, checkpoint: Make) -> None:
    io = AsyncDurableCheckpointIO()
    for epoch in range(3):
        io.save_checkpoint({**checkpoint(), "epoch": epoch}, tmp_path / "best.ckpt")
        io.teardown()
        assert epoch_in(tmp_path / "best.ckpt") == epoch
    io.teardown()


# A real training


class Model(LightningModule):
    """One layer, and scores that improve twice."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(100, 100)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.net(batch[0]).square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("score", [3.0, 2.0, 2.5, 1.0][self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(folder: Path, io: DurableCheckpointIO, **keeper: Any) -> keepbest.ModelCheckpoint:
    torch.manual_seed(0)
    checkpoints = keepbest.ModelCheckpoint(folder, monitor="score", save_last="every_epoch", **keeper)
    trainer = Trainer(
        accelerator="cpu", max_epochs=4, logger=False, callbacks=[checkpoints], plugins=[io],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    loader = DataLoader(TensorDataset(torch.ones(4, 100)), batch_size=2)
    trainer.fit(Model(), loader, loader)
    return checkpoints


@pytest.mark.parametrize("keeper", [{"filename": "best"}, {"filename": "{epoch}"}, {"save_top_k": 2}], ids=str)
def test_a_training_leaves_what_it_leaves_when_it_waits(tmp_path: Path, keeper: dict[str, Any], same: Any) -> None:
    ios = [DurableCheckpointIO(), AsyncDurableCheckpointIO()]
    best = [Path(train(tmp_path / str(n), io, **keeper).best_model_path) for n, io in enumerate(ios)]
    weights = [torch.load(path, weights_only=True)["state_dict"] for path in best]
    assert same(weights[0], weights[1])
    names = [{path.name: epoch_in(path) for path in (tmp_path / str(n)).iterdir()} for n in range(2)]
    assert names[0] == names[1]
    for io in ios:
        assert io.sha256 == {path: sha256_of(path) for path in next(iter(io.sha256)).parent.iterdir()}


def test_a_disk_that_refuses_ends_the_training(small_disk: Path) -> None:
    """The first checkpoint of 40 KB fits, the second beside it does not."""
    with pytest.raises(KeepbestError, match=r"ckpt could not be written: No space left on device\. Free some space"):
        train(small_disk, AsyncDurableCheckpointIO(), filename="{epoch}")
    assert [(path.name, epoch_in(path)) for path in small_disk.iterdir()] == [("epoch=0.ckpt", 0)]
