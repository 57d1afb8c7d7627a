"""The weights that are handed back must reproduce the score that they were kept for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from keepbest.composition.schema import Verification
from keepbest.errors import VerificationError
from keepbest.records import run_record

if TYPE_CHECKING:
    import torch

RELATIVE_TOLERANCE = 1e-3
"""Share of the recorded score by which a repeated evaluation may differ off the CPU, where kernels may be chosen anew
and sums may run in another order. On CPU nothing may differ."""


def verify(
    monitor: str, recorded: float, measured: float, settings: Verification, device: torch.device
) -> run_record.Verification:
    """Compare the score of the restored weights with the recorded one.

    Raises:
        VerificationError: when they lie further apart than the settings allow, or the new score is not a number.
    """
    tolerance = _tolerance(settings, recorded, device)
    difference = abs(measured - recorded)
    if math.isnan(difference) or difference > tolerance:
        raise VerificationError(monitor, recorded, measured, tolerance)
    return run_record.Verification(score=measured, abs_diff=difference, exact=measured == recorded)


def _tolerance(settings: Verification, recorded: float, device: torch.device) -> float:
    if settings.tolerance != "auto":
        return float(settings.tolerance)
    return 0.0 if device.type == "cpu" else RELATIVE_TOLERANCE * abs(recorded)
