"""The settings of the sweeper: those of `hydra.sweeper`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SweepSettings:
    """How a sweep is run.

    Args:
        share: whether jobs that see the same training share it.
        reads_stop: the names of callbacks that do something where the training ends; their jobs train alone.
        dry_run: say what would be done, and do nothing.
        prove: how many members are also trained on their own, and compared.
        fail_fast: start nothing more once a job has failed.
        retries: how often a training that failed is tried again, from its last checkpoint.
    """

    share: bool = True
    reads_stop: Sequence[str] = ()
    dry_run: bool = False
    prove: int = 0
    fail_fast: bool = False
    retries: int = 0
