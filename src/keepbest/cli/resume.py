"""`keepbest resume PATH`: a run, where it left off."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from keepbest.errors import ConfigError
from keepbest.records.locations import run_directory
from keepbest.records.ownership import as_it_stands, owned
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.store import SWEEP_FILE, read_record, read_sweep
from keepbest.sweeping.membership import require_own_training
from keepbest.training.continuation import change_settings
from keepbest.training.early_end import interruptions_recorded
from keepbest.training.job import read_job_config
from keepbest.training.launch import launch
from keepbest.training.reporting import exit_status_of, explain_failure
from keepbest.training.running_record import FINISHED
from keepbest.training.worker_process import WorkerError
from keepbest.training.workplace import workplace

_USAGE = """\
usage: keepbest resume RUN|SWEEP [callbacks.early_stopping.patience=20 ...]

Goes on with the training of a run directory, from its last checkpoint, until it is completed. The result is that of
an uninterrupted training, bit for bit. A run that is completed is not trained further, unless settings that decide
where a training ends are changed: those of callbacks.early_stopping, trainer.max_epochs and trainer.min_epochs.
Of a sweep, the jobs that have no result are finished, as they were planned. A job that shares its training goes on
with its sweep.
"""


def main(arguments: Sequence[str]) -> int:
    """Run `keepbest resume ARGUMENTS`; return the exit status."""
    if not arguments or arguments[0] in ("--help", "-h"):
        (sys.stdout if arguments else sys.stderr).write(_USAGE)
        return 0 if arguments else 2
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # the user's own modules lie there
    try:
        run_dir = run_directory(arguments[0])
    except ConfigError as error:
        return explain_failure(error)
    try:
        if (run_dir / SWEEP_FILE).exists():
            return resume_sweep(run_dir, arguments[1:])
        return resume(run_dir, arguments[1:])
    except WorkerError as error:
        return error.exit_status if error.told else explain_failure(error, run_dir)
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one message
        return explain_failure(error, run_dir)


def resume(run_dir: Path, overrides: Sequence[str]) -> int:
    """Go on with a run; return the exit status.

    Raises:
        KeepbestError: when there is no run, or it cannot go on this way.
        Exception: whatever ended the job early.
    """
    from keepbest.reports.terminal import show_result

    if not run_dir.is_dir():
        raise ConfigError("a run is a directory, or a file in it", received=str(run_dir))
    record = as_it_stands(run_dir, read_record(run_dir))
    if not overrides and record.status in FINISHED:
        sys.stdout.write("this run has its result, and is not trained further\n")
    else:
        if record.status is RunStatus.RUNNING:
            with owned(
                run_dir
            ):  # whoever holds the directory, or its shared training, is named by the error that comes
                pass
        require_own_training(run_dir, record, overrides)
        record = _go_on(run_dir, record, overrides)
    show_result(run_dir, record)
    return exit_status_of(record)


def resume_sweep(sweep_dir: Path, overrides: Sequence[str]) -> int:
    """Go on with a sweep: what has its result keeps it; return the exit status.

    Raises:
        KeepbestError: when its record cannot be read, or something is to be changed.
    """
    from keepbest.cli.sweep import arguments_to_resume
    from keepbest.cli.train import TrainCommand, run_command

    if any(not override.startswith("hydra.") for override in overrides):
        raise ConfigError(
            "the jobs of a sweep go on as they were planned",
            received=" ".join(overrides),
            remedy="Extend the sweep instead: keepbest train -m ... hydra.sweep.dir=...",
        )
    arguments = arguments_to_resume(sweep_dir)
    with workplace(sweep_dir, read_sweep(sweep_dir).environment.cwd):
        return run_command(TrainCommand(resumes=True), [*arguments, *overrides])


def _go_on(run_dir: Path, record: RunRecord, overrides: Sequence[str]) -> RunRecord:
    with interruptions_recorded(run_dir):
        if overrides:
            change_settings(run_dir, overrides)
        here, config = Path.cwd(), read_job_config(run_dir, read_record(run_dir))
        with workplace(run_dir, record.environment.cwd) as place:
            if record.status is not RunStatus.RUNNING:
                where = "" if place == here else f", in {place}, where it was started"
                sys.stdout.write(f"{run_dir} holds a run that is {record.status.value}: going on with it{where}\n")
                sys.stdout.flush()
            return launch(here / run_dir, config)
