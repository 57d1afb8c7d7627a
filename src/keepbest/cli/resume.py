"""`keepbest resume PATH`: a run, where it left off."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from keepbest.composition.resolved import read_config
from keepbest.errors import ConfigError
from keepbest.records.store import read_record
from keepbest.training.continuation import change_settings
from keepbest.training.launch import launch
from keepbest.training.reporting import exit_status_of, explain_failure
from keepbest.training.running_record import FINISHED
from keepbest.training.worker_process import WorkerError

_USAGE = """\
usage: keepbest resume RUN [callbacks.early_stopping.patience=20 ...]

Goes on with the training of a run directory, from its last whole epoch, until it is completed. The result is that of
an uninterrupted training, bit for bit. A run that is completed is not trained further, unless settings that decide
where a training ends are changed: those of callbacks.early_stopping, trainer.max_epochs and trainer.min_epochs.
"""


def main(arguments: Sequence[str]) -> int:
    """Run `keepbest resume ARGUMENTS`; return the exit status."""
    if not arguments or arguments[0] in ("--help", "-h"):
        (sys.stdout if arguments else sys.stderr).write(_USAGE)
        return 0 if arguments else 2
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # the user's own modules lie there
    run_dir = Path(arguments[0])
    try:
        return resume(run_dir, arguments[1:])
    except KeyboardInterrupt:
        return 130
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
        raise ConfigError("a run is a directory", received=str(run_dir))
    record = read_record(run_dir)
    if overrides:
        change_settings(run_dir, overrides)
    elif record.status in FINISHED:
        sys.stdout.write("this run has its result, and is not trained further\n")
        show_result(run_dir, record)
        return exit_status_of(record)
    record = launch(run_dir, read_config(run_dir))
    show_result(run_dir, record)
    return exit_status_of(record)
