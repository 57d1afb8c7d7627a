"""Whether the run's own validation data give the recorded score again."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keepbest.composition.schema import RELATIVE_TOLERANCE, verification_of
from keepbest.errors import ConfigError, VerificationError
from keepbest.reading.telling import telling
from keepbest.records.run_record import Evaluation, RunRecord

_REMEDY = (
    "The data are not what they were, validation is random, or the run was trained on another kind of machine, or with "
    "other versions: see environment in its run.json, and evaluate where they are the same."
)


@dataclass(frozen=True)
class RepeatedScore:
    """The recorded score of the best checkpoint, and the one that its evaluation gave.

    Args:
        monitor: the metric.
        recorded: its value in the record.
        measured: its value now.
        tolerance: the largest absolute difference that is none, by the run's verification settings.
        counts_twice: whether the run was trained in several processes, which count some samples twice.
    """

    monitor: str
    recorded: float
    measured: float
    tolerance: float
    counts_twice: bool = False

    def __str__(self) -> str:
        if self.measured == self.recorded:
            return "yes, the same score bit for bit"
        near = f"yes, within {self.tolerance:.2g}" if self.is_near else "no"
        text = f"{near}: {self.monitor} was {self.recorded!r}, is {self.measured!r}, {self._difference:.2g} from it"
        twice = not self.is_near and self.counts_twice
        return f"{text}; it was trained in several processes, which count some samples twice" if twice else text

    def require(self) -> None:
        """Refuse a score that lies beyond the tolerance, where nothing about the run explains it.

        Raises:
            VerificationError: for such a score.
        """
        if not self.is_near and not self.counts_twice:
            raise VerificationError(self.monitor, self.recorded, self.measured, self.tolerance, remedy=_REMEDY)

    @property
    def is_near(self) -> bool:
        """Whether the new score is the recorded one, within the tolerance."""
        return self.measured == self.recorded or self._difference <= self.tolerance

    @property
    def _difference(self) -> float:
        return abs(self.measured - self.recorded)


def repeated_score(
    evaluation: Evaluation, record: RunRecord, config: Mapping[str, Any], *, counts_twice: bool
) -> RepeatedScore | None:
    """Return the recorded and the new score; None where there is nothing to compare.

    Args:
        evaluation: of the best checkpoint.
        record: of the run.
        config: of the run.
        counts_twice: whether it was trained in several processes.

    Raises:
        ConfigError: when the run's settings of its verification make no sense.
    """
    scores = _scores(evaluation, record)
    if scores is None:
        return None
    with telling(ConfigError, "the run's config must say with verification.tolerance how far scores may differ"):
        on_cpu = evaluation.device == "cpu" and _was_on_cpu(record, config)
        tolerance = verification_of(config).allowed(scores[0], on_cpu=on_cpu)
    return RepeatedScore(record.objective.monitor, *scores, tolerance, counts_twice)


def warn_of_another_score(evaluation: Evaluation, record: RunRecord) -> None:
    """Warn where the run's own validation data do not give the recorded score, beyond what another device does.

    Args:
        evaluation: of the best checkpoint.
        record: of the run.
    """
    scores = _scores(evaluation, record)
    if scores is not None and is_another_score(evaluation, record):
        warnings.warn(
            f"{record.objective.monitor} of the best checkpoint came out as {scores[1]!r}, recorded is {scores[0]!r}: "
            "the data are not what they were, validation is random, or it ran in several processes, which count some "
            "samples twice.",
            stacklevel=3,
        )


def is_another_score(evaluation: Evaluation, record: RunRecord) -> bool:
    """Return whether the run's own validation data gave another score than the recorded one.

    An entry that says so was compared when it was made, by `repeated_score`; of others what lies beyond a thousandth is
    another score, which is more than another device does.

    Args:
        evaluation: of the best checkpoint.
        record: of the run.
    """
    scores = _scores(evaluation, record)
    if scores is None:
        return False
    if evaluation.repeated is not None:
        return not evaluation.repeated
    return not math.isclose(*scores, rel_tol=RELATIVE_TOLERANCE)


def _scores(evaluation: Evaluation, record: RunRecord) -> tuple[float, float] | None:
    """Return the recorded score and the new one; None for other data than those of the recorded one."""
    recorded, measured = record.best_model_score, evaluation.metrics.get(record.objective.monitor)
    if evaluation.data is not None or evaluation.split != "val" or recorded is None or measured is None:
        return None
    return recorded, measured


def _was_on_cpu(record: RunRecord, config: Mapping[str, Any]) -> bool:
    """Return whether a run was trained on the CPU, as far as can be told where its trainer was to choose."""
    from lightning.pytorch.accelerators import AcceleratorRegistry

    trainer = config.get("trainer")
    accelerator = trainer.get("accelerator", "auto") if isinstance(trainer, Mapping) else "auto"
    if accelerator != "auto":
        return bool(accelerator == "cpu")
    differed = record.verified is not None and not record.verified.exact
    return not differed and not any(AcceleratorRegistry.get(kind).is_available() for kind in ("cuda", "mps"))
