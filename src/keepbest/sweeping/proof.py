"""Whether shared equals independent: members trained again on their own, and compared."""

from __future__ import annotations

import random
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from keepbest.checkpoints.loading import read_checkpoint
from keepbest.errors import KeepbestError
from keepbest.records.metrics_table import METRICS_FILE
from keepbest.records.run_record import RunRecord
from keepbest.records.store import RUN_FILE, read_record
from keepbest.training.running_record import FINISHED

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
        without_result: what became of the independent jobs that have no result, by number.

    Attributes:
        differences: the same.
        without_result: the same.
    """

    def __init__(self, differences: Mapping[int, Sequence[str]], without_result: Mapping[int, str] = {}) -> None:
        self.differences, self.without_result = differences, without_result
        found = {number: f"job {number}: {', '.join(names)}" for number, names in differences.items()}
        found |= {number: f"job {number} on its own {how}" for number, how in without_result.items()}
        lines = "\n".join(f"  {found[number]}" for number in sorted(found))
        super().__init__(
            "a member of a shared training must have the result of a job of its own, these have not:\n"
            f"{lines}\nSomething in this training reads where it ends, or does not repeat. Name the callback in "
            "hydra.sweeper.reads_stop, or turn sharing off with hydra.sweeper.share=false."
        )


def choose(shared: Sequence[int], wanted: Container[int], proofs: Path, count: int) -> list[int]:
    """Return the numbers of the jobs to prove: those that were chosen before, and random ones until there are enough.

    Args:
        shared: the jobs that share a training and have their results.
        wanted: the jobs whose earlier proofs count.
        proofs: where the proofs lie.
        count: how many there should be; more when there are more already.
    """
    begun = [number for number in shared if number in wanted and (proofs / str(number) / RUN_FILE).exists()]
    others = [number for number in shared if number not in begun]
    missing = min(max(0, count - len(begun)), len(others))
    return sorted([*begun, *random.SystemRandom().sample(others, missing)])


def require_same_results(pairs: Mapping[int, tuple[Path, Path]]) -> None:
    """Compare members with the same jobs on their own.

    Args:
        pairs: the directory of the member, and that of the job on its own, by number.

    Raises:
        ProofError: when one differs, or a job on its own has no result.
    """
    records = {number: read_record(alone) for number, (_, alone) in pairs.items()}
    without = {number: _in_words(record) for number, record in records.items() if record.status not in FINISHED}
    found = {number: differences(*places) for number, places in pairs.items() if number not in without}
    found = {number: names for number, names in found.items() if names}
    if found or without:
        raise ProofError(found, without)


def _in_words(record: RunRecord) -> str:
    error = record.error
    return f"{record.status.value}: {error.type}: {error.message}" if error else f"is {record.status.value}"


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
    if _content(member / METRICS_FILE) != _content(alone / METRICS_FILE):
        found.append(METRICS_FILE)
    if not _same(_weights(member, records[0]), _weights(alone, records[1])):
        found.append("weights")
    return found


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


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
