"""Whether shared equals independent: members trained again on their own, and compared."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.checkpoints.loading import read_checkpoint
from keepbest.errors import KeepbestError
from keepbest.records.metrics_table import METRICS_FILE
from keepbest.records.run_record import RunRecord
from keepbest.records.store import read_record
from keepbest.training.running_record import FINISHED

if TYPE_CHECKING:
    from keepbest.sweeping.plan import Training

PROOFS = "proofs"
"""The directory, in the sweep's, of the jobs that were trained on their own to be compared."""

_RESULTS = (
    "status", "best_model_path", "best_model_score", "best_epoch", "best_step", "verified", "stopping", "policy_best",
    "test",
)  # fmt: skip


class ProofError(KeepbestError):
    """A member's result is not that of an independent job.

    Args:
        differences: in what, by the member's number.

    Attributes:
        differences: the same.
    """

    def __init__(self, differences: dict[int, list[str]]) -> None:
        self.differences = differences
        lines = "\n".join(f"  job {number}: {', '.join(names)}" for number, names in differences.items())
        super().__init__(
            "a member of a shared training must have the result of a job of its own, these have not:\n"
            f"{lines}\nSomething in this training reads where it ends, or does not repeat. Name the callback in "
            "hydra.sweeper.reads_stop, or turn sharing off with hydra.sweeper.share=false."
        )


def choose(trainings: Sequence[Training], count: int) -> list[int]:
    """Return the numbers of up to `count` randomly chosen jobs that share a training and have their results."""
    jobs = [job for training in trainings if training.members for job in training.jobs]
    shared = [job.number for job in jobs if read_record(job.directory).status in FINISHED]
    return sorted(random.SystemRandom().sample(shared, min(count, len(shared))))


def differences(member: Path, alone: Path) -> list[str]:
    """Return in what a member's run differs from the same job's on its own; times and paths may.

    Args:
        member: the member's run directory.
        alone: that of the job on its own.
    """
    records = read_record(member), read_record(alone)
    found = [name for name in _RESULTS if not _same(getattr(records[0], name), getattr(records[1], name))]
    if records[0].timing.epochs_trained != records[1].timing.epochs_trained:
        found.append("epochs trained")
    if (member / METRICS_FILE).read_bytes() != (alone / METRICS_FILE).read_bytes():
        found.append(METRICS_FILE)
    if not _same(_weights(member, records[0]), _weights(alone, records[1])):
        found.append("weights")
    return found


def _weights(directory: Path, record: RunRecord) -> Any:
    if record.best_model_path is None:
        return None
    content = read_checkpoint(directory / record.best_model_path, record.best_sha256)
    return {name: content.get(name) for name in ("state_dict", "optimizer_states", "lr_schedulers")}


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal bit for bit; a value that is not a number equals itself."""
    import torch

    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and torch.equal(
            one.contiguous().view(-1).view(torch.uint8), other.contiguous().view(-1).view(torch.uint8)
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return repr(one) == repr(other)
