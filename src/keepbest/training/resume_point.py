"""Where an unfinished job goes on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.checkpoints.hashing import require_sha256
from keepbest.checkpoints.recovery import settle
from keepbest.records.atomic import PARTIAL_SUFFIX

if TYPE_CHECKING:
    from keepbest.records.run_record import RunRecord

log = logging.getLogger(__name__)


def find_resume_point(job_dir: Path, record: RunRecord, recorded: Mapping[str, str], *, settles: bool) -> Path | None:
    """Return the checkpoint that a job goes on from, None where it has to start over.

    Args:
        job_dir: the job's directory.
        record: its record.
        recorded: the hash of each recorded checkpoint, by its path below the directory.
        settles: whether to clean up first what a crash left: files half written, or whole but not renamed.

    Raises:
        IntegrityError: when the checkpoint, or that of the best so far, is not the one that was recorded.
    """
    if settles:
        _settle_all(job_dir, recorded)
        for name, sha256 in recorded.items():
            require_sha256(job_dir / name, sha256)
    if record.last is None:
        return None
    path = job_dir / record.last.path
    if settles:
        log.info("going on after step %s of epoch %d, from %s", record.last.step, record.last.epoch, path.name)
    return path


def _settle_all(job_dir: Path, recorded: Mapping[str, str]) -> None:
    """Settle the job's directory, and each below it that has files half written."""
    for folder in {job_dir, *(partial.parent for partial in job_dir.rglob(f"*{PARTIAL_SUFFIX}"))}:
        settle(folder, {Path(name).name: sha for name, sha in recorded.items() if (job_dir / name).parent == folder})
