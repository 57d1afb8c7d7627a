"""`keepbest.train`: the main job from Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from keepbest.cli.train import TrainCommand
from keepbest.errors import ConfigError, KeepbestError, SweepError
from keepbest.records.run_record import RunStatus
from keepbest.records.store import SWEEP_FILE

if TYPE_CHECKING:
    from keepbest.reading.sweep import Sweep

_WITH_RESULT = (RunStatus.COMPLETED, RunStatus.DIVERGED)


@overload
def train(overrides: Sequence[str] = (), *, multirun: Literal[True]) -> Sweep: ...


@overload
def train(overrides: Sequence[str] = (), *, multirun: bool = False) -> Any: ...


def train(overrides: Sequence[str] = (), *, multirun: bool = False) -> Any:
    """Run the main job, as `keepbest train OVERRIDES` does, and open what it left.

    Args:
        overrides: as on the command line: `["model=cnn", "seed=1"]`, and with several values `["seed=1,2"]`.
        multirun: whether there is a job for each combination of values, as with `-m`. A preset of `sweep` needs no
            such word.

    Returns:
        The `Run`; of several jobs the `Sweep`. A diverged one has a result, and is returned.

    Raises:
        ConfigError: for an override or a config that cannot work.
        SweepError: when a job of a sweep has no result.
        Interrupted: for SIGINT (Ctrl-C) and SIGTERM; it is no `Exception`.
        Exception: whatever ended the job early.
    """
    from keepbest.reading.run import open_run

    if not _are_overrides(overrides):
        raise ConfigError(
            "keepbest.train takes a list of overrides, without flags",
            received=overrides,
            remedy='Write it as ["model=cnn", "seed=1"], and -m as multirun=True',
        )
    command = TrainCommand()
    try:
        command(["-m", *overrides] if multirun else overrides)
    except ConfigError as error:
        if "add --multirun" not in error.rule:
            raise
        raise ConfigError("several values of a setting need multirun=True", received=list(overrides)) from error
    if command.failures:
        raise command.failures[0]
    if command.sweep_dir is not None or multirun:
        return _sweep_of(command)
    return open_run(command.runs[0][0], trust=True)  # it was trained here, a moment ago


def _are_overrides(overrides: object) -> bool:
    if isinstance(overrides, str) or not isinstance(overrides, Sequence):
        return False
    return all(isinstance(override, str) and not override.startswith("-") for override in overrides)


def _sweep_of(command: TrainCommand) -> Sweep:
    from keepbest.reading.sweep import open_sweep

    directory = command.sweep_dir
    if directory is None:
        places = ", ".join(str(run_dir) for run_dir, _ in command.runs)
        raise KeepbestError(f"keepbest.train opens sweeps of keepbest's own sweepers; another one left {places}.")
    if not (directory / SWEEP_FILE).is_file():
        raise ConfigError("a dry run leaves no sweep to open", remedy="Have it shown by the command, keepbest train -m")
    sweep = open_sweep(directory, trust=True)
    without = {run_dir.resolve() for run_dir, record in command.runs if record.status not in _WITH_RESULT}
    if without:
        raise SweepError(directory, [number for number, run in sweep.runs.items() if run.directory in without])
    return sweep
