"""The errors that keepbest raises on purpose; each carries its data, and the exit status of the command it ends."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

_LONGEST_VALUE = 300  # characters of a value in a message
_REPEATABLE = (
    "Make validation deterministic (no shuffling, no sampling, no random augmentation, the same split at every setup, "
    "dropout off in eval mode), or state how much may differ with verification.tolerance=..."
)


class KeepbestError(Exception):
    """Base of every error that keepbest raises on purpose. Its text is meant for the person at the terminal.

    Texts quote what files of somebody else say: what a terminal would obey is shown escaped.
    """

    exit_status: int = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(KeepbestError):
    """A setting that cannot work: wrong key, type, range, target or argument. Found before an epoch is spent.

    Args:
        rule: what must hold, as a sentence without a full stop.
        received: the offending value, shown with `repr`; leave it out where there is none.
        remedy: what to type instead, as a sentence without a full stop.
        key: the dotted path of the setting in the config, where it is known.
    """

    exit_status = 2

    def __init__(self, rule: str, *, received: object = ..., remedy: str | None = None, key: str | None = None) -> None:
        self.rule, self.received, self.remedy, self.key = rule, received, remedy, key
        text = f"{key}: {rule}" if key else rule
        if received is not ...:
            text += f", got {_shown(received)}"
        super().__init__(" ".join(map(_sentence, filter(None, (text, remedy)))))


class DataError(KeepbestError):
    """Data that cannot be trained on: missing files, unreadable values, an empty set."""


class MonitorError(KeepbestError):
    """The objective's metric is never logged where it is needed.

    Args:
        monitor: the name that was looked for.
        available: the names that were logged.
    """

    def __init__(self, monitor: str, available: Iterable[str]) -> None:
        self.monitor, self.available = monitor, sorted(available)
        names = ", ".join(self.available) or "nothing at all"
        hint = f"{near} " if (near := did_you_mean(monitor, self.available)) else ""
        if "train" in monitor.lower():
            hint += "What training logs is computed before the step that changes the weights. "
        super().__init__(
            f"the objective monitors a metric that validation never logs, got {monitor!r}; "
            f"validation logged {names}. {hint}Set objective.monitor to one of these, "
            f"or log {monitor!r} with self.log in validation_step."
        )


class TimingError(KeepbestError):
    """A metric that does not describe the weights that would be kept for it.

    Args:
        monitor: the metric, logged by the training step.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        super().__init__(
            f"the best weights must be kept by a metric that validation computes, got {monitor!r}, which training_step "
            "logs: it is computed before the step that changes the weights, so the weights at its best value have "
            "another one. Monitor a metric that validation_step logs."
        )


class RankError(KeepbestError):
    """The processes of one training see different values of the monitored metric.

    Args:
        monitor: the metric.
        rank: the process that speaks.
        value: the metric's value on it, None when it was not logged there.
    """

    def __init__(self, monitor: str, rank: int, value: float | None) -> None:
        self.monitor, self.rank, self.value = monitor, rank, value
        super().__init__(
            f"every rank must see the same {monitor}, or each keeps another best; rank {rank} has {value!r}, another "
            f"rank another value. Log it with self.log({monitor!r}, ..., sync_dist=True), or as a torchmetrics object."
        )


class VerificationError(KeepbestError):
    """The best weights, evaluated again, did not reproduce the score they were kept for.

    Args:
        monitor: the objective's metric.
        recorded: the score of the kept checkpoint.
        measured: the score of the restored weights.
        tolerance: the largest absolute difference that would have been accepted.
        remedy: what to do about it, in whole sentences; None for what helps a training.
    """

    def __init__(
        self, monitor: str, recorded: float, measured: float, tolerance: float, *, remedy: str | None = None
    ) -> None:
        self.monitor, self.recorded, self.measured, self.tolerance = monitor, recorded, measured, tolerance
        super().__init__(
            f"the restored best weights must reproduce their recorded {monitor} within {tolerance:g}, "
            f"recorded {recorded!r}, measured {measured!r}. {remedy or _REPEATABLE}"
        )


class IntegrityError(KeepbestError):
    """A file of a run is not what its record says."""


class RecordError(KeepbestError):
    """A run directory, or its record, that cannot be read."""


class OwnedError(KeepbestError):
    """A directory of a run, or of a sweep, that another process works in.

    Args:
        run_dir: the directory.
        owner: who holds it, in words.
    """

    exit_status = 2

    def __init__(self, run_dir: Path, owner: str) -> None:
        self.run_dir, self.owner = run_dir, owner
        super().__init__(
            f"one process at a time works in the directory of a run or a sweep, {run_dir} is held by {owner}. "
            "Wait for it, or end it."
        )


class SweepError(KeepbestError):
    """Jobs of a sweep failed, or were interrupted.

    Args:
        sweep_dir: the sweep's directory.
        numbers: of the jobs without a result.
    """

    def __init__(self, sweep_dir: Path, numbers: Iterable[int]) -> None:
        self.sweep_dir, self.numbers = sweep_dir, sorted(numbers)
        jobs = ", ".join(map(str, self.numbers))
        super().__init__(
            f"each job of a sweep must have a result, these of {sweep_dir} have none: {jobs}. See their records with "
            f"keepbest.open_sweep({str(sweep_dir)!r}); `keepbest resume {sweep_dir}` tries them again."
        )


def printable(text: str) -> str:
    """Return a text with every character escaped, as in Python, that a terminal would obey instead of showing it.

    Line ends and tabs stay.
    """
    return "".join(mark if mark.isprintable() or mark in "\n\t" else repr(mark)[1:-1] for mark in text)


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return `Did you mean 'x'?` for the nearest of the choices, or an empty string when none is near."""
    near = get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""


def _shown(value: object) -> str:
    """Return a value as Python writes it, cut where nobody would read on."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
