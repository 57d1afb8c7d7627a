"""Whether a run directory belongs to a training that several jobs of a sweep share."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from keepbest.errors import ConfigError, KeepbestError
from keepbest.records.locations import sweep_directory
from keepbest.records.run_record import RunRecord
from keepbest.records.store import read_sweep
from keepbest.sweeping.members import is_shared


def require_own_training(run_dir: Path, record: RunRecord, overrides: Sequence[str] = ()) -> None:
    """Refuse to train on its own what shares its training with other jobs: it would have two results.

    Args:
        run_dir: the directory of a run, of a member or of a shared training.
        record: its record.
        overrides: other settings for its end.

    Raises:
        ConfigError: when it shares its training, naming the command that goes on with the sweep, or extends it.
    """
    sweep_dir = sweep_directory(run_dir.resolve())
    if not (record.trajectory or is_shared(run_dir) or (sweep_dir and _is_planned_shared(run_dir, sweep_dir))):
        return
    where = shlex.quote(_as_given(sweep_dir, run_dir)) if sweep_dir else "SWEEP, where SWEEP is its directory"
    remedy = f"Go on with the sweep: keepbest resume {where}"
    if overrides:
        texts = shlex.join(overrides)
        remedy = f"Extend the sweep: keepbest train -m ... {texts} hydra.sweep.dir={where}, with its other settings"
    raise ConfigError("jobs that share a training are trained by their sweep", received=str(run_dir), remedy=remedy)


def _is_planned_shared(run_dir: Path, sweep_dir: Path) -> bool:
    """Return whether the sweep has planned a shared training for the run, which need not have begun."""
    with suppress(KeepbestError):
        shared = [job for job in read_sweep(sweep_dir).jobs if job.trajectory]
        return any((sweep_dir / job.directory).resolve() == run_dir.resolve() for job in shared)
    return False


def _as_given(sweep_dir: Path, run_dir: Path) -> str:
    """Return the sweep's directory as somebody would write it who has given the run's."""
    if run_dir.is_absolute() or not sweep_dir.is_relative_to(here := Path.cwd().resolve()):
        return str(sweep_dir)
    return str(sweep_dir.relative_to(here))
