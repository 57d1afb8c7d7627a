"""The weights that are handed back must reproduce the score that they were kept for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from keepbest.composition.schema import Verification
from keepbest.errors import VerificationError
from keepbest.records import run_record

if TYPE_CHECKING:
    import torch


def verify(
    monitor: str, recorded: float, measured: float, settings: Verification, device: torch.device
) -> run_record.Verification:
    """Compare the score of the restored weights with the recorded one.

    Raises:
        VerificationError: when they lie further apart than the settings allow, or the new score is not a number.
    """
    tolerance = settings.allowed(recorded, on_cpu=device.type == "cpu")
    difference = abs(measured - recorded)
    if math.isnan(difference) or difference > tolerance:
        raise VerificationError(monitor, recorded, measured, tolerance)
    return run_record.Verification(score=measured, abs_diff=difference, exact=measured == recorded)
