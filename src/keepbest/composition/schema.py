"""What is keepbest's own in a config; everything else belongs to the targets that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from keepbest.records.run_record import Objective


@dataclass(frozen=True)
class Verification:
    """How far the score of the restored weights may lie from the recorded one.

    Args:
        tolerance: the largest absolute difference, in the metric's units; "auto" is 0 (bit for bit) on CPU, and
            `training.verification.RELATIVE_TOLERANCE` of the score elsewhere.
    """

    tolerance: float | Literal["auto"] = "auto"


def objective_of(config: Mapping[str, Any]) -> Objective:
    """Return the objective of a checked config."""
    return Objective(**config["objective"])


def verification_of(config: Mapping[str, Any]) -> Verification:
    """Return the verification settings of a checked config."""
    return Verification(**(config.get("verification") or {}))
