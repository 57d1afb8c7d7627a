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
    """Return the checkpoint of a job's last whole epoch, None where the job has to start over.

    Args:
        job_dir: the job's directory.
        record: its record.
        recorded: the hash of each recorded checkpoint, by its path below the directory.
        settles: whether to clean up first what a crash left: files half written, or whole but not renamed.

    Raises:
        IntegrityError: when the checkpoint is not the one that was recorded.
    """
    if settles:
        _settle_all(job_dir, recorded)
    if record.last is None:
        return None
    path = job_dir / record.last.path
    if settles:
        require_sha256(path, record.last.sha256)
        log.info("going on after epoch %d, from %s", record.last.epoch, path.name)
    return path


def _settle_all(job_dir: Path, recorded: Mapping[str, str]) -> None:
    """Settle the job's directory, and each below it that has files half written."""
    for folder in {job_dir, *(partial.parent for partial in job_dir.rglob(f"*{PARTIAL_SUFFIX}"))}:
        settle(folder, {Path(name).name: sha for name, sha in recorded.items() if (job_dir / name).parent == folder})
