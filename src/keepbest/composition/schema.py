"""What is keepbest's own in a config; everything else belongs to the targets that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from keepbest.records.run_record import Objective

RELATIVE_TOLERANCE = 1e-3
"""Share of the recorded score by which a repeated evaluation may differ off the CPU, where kernels may be chosen anew
and sums may run in another order. On CPU nothing may differ."""


@dataclass(frozen=True)
class Verification:
    """How far the score of the restored weights may lie from the recorded one.

    Args:
        tolerance: the largest absolute difference, in the metric's units; "auto" is 0 (bit for bit) on CPU, and
            `RELATIVE_TOLERANCE` of the score elsewhere.
    """

    tolerance: float | Literal["auto"] = "auto"

    def allowed(self, score: float, *, on_cpu: bool) -> float:
        """Return the largest absolute difference that is accepted.

        Args:
            score: the recorded one.
            on_cpu: whether both scores were computed there.
        """
        if self.tolerance != "auto":
            return float(self.tolerance)
        return 0.0 if on_cpu else RELATIVE_TOLERANCE * abs(score)


@dataclass(frozen=True)
class Guards:
    """What is looked at before an epoch is wasted; each can be turned off.

    Args:
        training_monitor: the objective must not be logged by the training step, where the best weights are restored.
        overlap: training and validation data must not share samples.
        patience: what patience means in epochs, and whether it can run out.
    """

    training_monitor: bool = True
    overlap: bool = True
    patience: bool = True


def objective_of(config: Mapping[str, Any]) -> Objective:
    """Return the objective of a checked config."""
    return Objective(**config["objective"])


def verification_of(config: Mapping[str, Any]) -> Verification:
    """Return the verification settings of a checked config."""
    return Verification(**(config.get("verification") or {}))


def guards_of(config: Mapping[str, Any]) -> Guards:
    """Return which guards a checked config wants."""
    return Guards(**(config.get("guards") or {}))
