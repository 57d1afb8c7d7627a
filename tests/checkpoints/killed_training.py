"""A program: trainings, each killed one step of the file system later than the one before, the last not at all.

killed_training.py MODE DIRECTORY leaves DIRECTORY/<keeper>/<n> as the n-th kill left it. One process imports Lightning
and forks every training: importing takes seconds, a training a tenth of one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCORES = [2.0, 3.0, 1.0]


class Steps:
    """Counts what reaches the file system, and kills its process after one of them."""

    last: int | None = None

    def take(self) -> None:
        if self.last is not None:
            self.last -= 1
            if self.last < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            self.take()
            return result

        return call


steps = Steps()
for name in ("fsync", "replace", "remove", "unlink"):  # before anybody takes them
    setattr(os, name, steps.counted(getattr(os, name)))

import torch  # noqa: E402
from lightning.pytorch import LightningModule, Trainer  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

import keepbest  # noqa: E402
from keepbest.checkpoints.async_checkpoint_io import AsyncDurableCheckpointIO  # noqa: E402
from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO  # noqa: E402
from keepbest.checkpoints.hashing import HashingWriter  # noqa: E402
from keepbest.records.atomic import write_text  # noqa: E402

MODES = {"sync": DurableCheckpointIO, "async": AsyncDurableCheckpointIO}
KEEPERS = {
    "one name": {"filename": "best", "save_last": "every_epoch", "enable_version_counter": False},
    "changing names": {"filename": "{epoch}", "save_last": True},
    "two": {"filename": "{epoch}", "save_top_k": 2, "save_last": "every_epoch"},
}


class HalfWritten(HashingWriter):
    """A file in which the first bytes of a checkpoint are a step."""

    def write(self, data: bytes) -> int:
        first, written = self.size == 0, super().write(data)
        if first:
            steps.take()
        return written


class Model(LightningModule):
    """One weight, and the scores above."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return (self.weight * batch[0]).square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("score", SCORES[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Record:
    """What a run records: the hash of every file, and which is the best, with its score."""

    def __init__(self, directory: Path, keeper: keepbest.ModelCheckpoint) -> None:
        self.path, self.keeper = directory / "record.json", keeper
        self.content: dict[str, Any] = {"files": {}, "best": None}
        self.noted: dict[str, Any] | None = None

    def before_save(self, target: Path) -> None:
        is_best = str(target) == self.keeper.best_model_path
        self.noted = {"name": target.name, "score": float(self.keeper.best_model_score)} if is_best else None

    def before_replace(self, target: Path, sha256: str, size: int) -> None:
        self.content["files"][target.name] = sha256
        self.content["best"] = self.noted or self.content["best"]
        write_text(self.path, json.dumps(self.content))


def train(directory: Path, mode: str, keeper: str) -> None:
    """Train all epochs."""
    checkpoints = keepbest.ModelCheckpoint(directory / "checkpoints", monitor="score", **KEEPERS[keeper])
    record = Record(directory, checkpoints)
    trainer = Trainer(
        accelerator="cpu", max_epochs=len(SCORES), logger=False, callbacks=[checkpoints],
        plugins=[MODES[mode](record.before_replace, record.before_save)],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    loader = DataLoader(TensorDataset(torch.ones(2, 1)), batch_size=2)
    trainer.fit(Model(), loader, loader)


def train_until(step: int, directory: Path, mode: str, keeper: str) -> bool:
    """Train in a process that is killed after a step; return whether it came to its end."""
    directory.mkdir(parents=True)
    child = os.fork()
    if child == 0:
        steps.last = step
        status = 1
        try:
            train(directory, mode, keeper)
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        sys.exit(f"the training in {directory} failed")
    return os.WIFEXITED(status)


def main(mode: str, place: Path) -> None:
    """Kill after every step there is."""
    sys.modules["keepbest.checkpoints.writing"].HashingWriter = HalfWritten
    for keeper in KEEPERS:
        step = 0
        while not train_until(step, place / keeper / str(step), mode, keeper):
            step += 1


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
