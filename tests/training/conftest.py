"""Jobs that die and go on, compared with the same jobs left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from keepbest.training.execute import execute
from keepbest.training.job import create_job

DIES = """
from pathlib import Path
from lightning.pytorch import Callback

class Dies(Callback):
    '''Raises once, in the middle of an epoch or, without one, as the training ends, if a flag says so.'''
    def __init__(self, flag, epoch, batch=1):
        self.flag, self.epoch, self.batch = Path(flag), epoch, batch
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == self.batch:
            self.die(trainer)
    def on_train_end(self, trainer, pl_module):
        if self.epoch is None:
            self.die(trainer)
    def die(self, trainer):
        if self.flag.exists():
            trainer.strategy.barrier()
            if trainer.is_global_zero:
                self.flag.unlink()
            raise RuntimeError("the lights went out")
"""


def record_of(job_dir: Path) -> dict[str, Any]:
    return json.loads((job_dir / "run.json").read_text())


def result_of(job_dir: Path) -> dict[str, Any]:
    """Return all that must not depend on whether the job was interrupted."""
    record = record_of(job_dir)
    names = ("status", "best_model_score", "best_epoch", "best_step", "verified", "stopping", "policy_best", "test")
    found = {name: record[name] for name in names} | {"trained": record["timing"]["epochs_trained"]}
    found["metrics"] = (job_dir / "metrics.csv").read_text()
    epochs = {line.split(",")[0] for line in found["metrics"].splitlines()[1:]}
    assert len(epochs) == found["trained"], "all of them are in the table"
    for name in "best", "last":
        content = torch.load(job_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)
        kept = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")
        found[name] = {key: content[key] for key in kept if key in content}
    return found


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the callback that raises where jobs find it; give its text, for those that run elsewhere."""
    (tmp_path / "dying.py").write_text(DIES)
    monkeypatch.syspath_prepend(tmp_path)
    return DIES


@pytest.fixture
def differences() -> Callable[[Path, Path], list[str]]:
    """Compare two finished jobs, bit for bit, and name what differs."""

    def compare(one: Path, other: Path) -> list[str]:
        mine, theirs = result_of(one), result_of(other)
        assert mine.keys() == theirs.keys()
        return [name for name in mine if not equal(mine[name], theirs[name])]

    return compare


@pytest.fixture
def twice(compose_config: Any, tmp_path: Path, dying: str) -> Callable[..., tuple[Path, Path]]:
    """Run a job without interruption, and another that dies in an epoch and goes on; give both directories.

    Without an epoch it dies when the training is over.
    `on_death` is called with the directory of the second one before it goes on; `sections` replace whole ones of the
    config.
    """

    def run(
        *overrides: str,
        epoch: int | None = 3,
        batch: int = 1,
        on_death: Callable[[Path], object] = lambda job_dir: None,
        **sections: dict[str, Any],
    ) -> tuple[Path, Path]:
        flag = tmp_path / "flag"
        dies = f"{{_target_: dying.Dies, flag: {flag}, epoch: {'null' if epoch is None else epoch}, batch: {batch}}}"
        config = compose_config(["trainer=cpu", f"+callbacks.dies={dies}", *overrides]) | sections
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        for job_dir in whole, broken:
            create_job(job_dir, "job", config)
        execute(whole)
        flag.touch()
        with pytest.raises(RuntimeError, match="the lights went out"):
            execute(broken)
        assert record_of(broken)["status"] == "failed"
        on_death(broken)
        execute(broken)
        return whole, broken

    return run
