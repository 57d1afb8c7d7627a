"""`keepbest train`: a Hydra application that composes a config, writes it into a job directory and has it run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from keepbest.cli.departing_readers import let_readers_leave
from keepbest.composition.build import check_all_targets
from keepbest.composition.checks import check
from keepbest.composition.explain import COMPOSITION_ERRORS, explain_composition
from keepbest.composition.resolved import PlainConfig, resolve
from keepbest.composition.search_path import USER_CONF, conf_dir, user_conf_first
from keepbest.errors import ConfigError, KeepbestError
from keepbest.records.locations import OUTPUTS, RUNS, for_people, new_id, point_latest
from keepbest.records.run_record import RunRecord
from keepbest.training.early_end import interruptions_recorded
from keepbest.training.interruption import Interrupted, ended_by_signals, signals_held
from keepbest.training.job import create_job
from keepbest.training.launch import fits_one_process, launch
from keepbest.training.reporting import FULL_ERROR, exit_status_of, exit_status_of_error, explain_failure
from keepbest.training.worker_process import WorkerError

if TYPE_CHECKING:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

_FLAGS_WITH_VALUE = frozenset(
    ("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--info",
     "-i", "--experimental-rerun")
)  # fmt: skip
_MULTIRUN_FLAGS = frozenset(("-m", "--multirun"))
_NOT_FORKED = ("hydra/launcher=", "hydra.sweeper.dry_run=", "trainer=ddp")


class TrainCommand:
    """One call of `keepbest train`, which launches one job or, with `-m`, several.

    Args:
        resumes: whether it goes on with the sweep in the directory that it is given.

    Attributes:
        runs: the directory and the record of each job that ran to its end in this process.
        failures: what ended the other jobs early, each told on standard error when it happened.
        sweep_dir: the directory of the sweep that ran; None for a single job.
    """

    def __init__(self, *, resumes: bool = False) -> None:
        self._resumes = resumes
        self.runs: list[tuple[Path, RunRecord]] = []
        self.failures: list[Exception] = []
        self.sweep_dir: Path | None = None
        self._refused: KeepbestError | None = None
        self._launch_id = new_id()
        self._arguments: list[str] = []
        self._full_error = os.environ.get(FULL_ERROR)

    @property
    def exit_status(self) -> int:
        """0 when every job completed, else the status of the first that did not."""
        statuses = [*map(exit_status_of_error, self.failures), *(exit_status_of(record) for _, record in self.runs)]
        return next(filter(None, statuses), 0)

    def __call__(self, overrides: Sequence[str]) -> None:
        """Let Hydra read the overrides and run the jobs.

        Raises:
            KeepbestError: for a config that cannot work, before anything is trained.
        """
        if _is_plain_sweep(overrides):
            from keepbest.sweeping.training_process import start_ahead

            start_ahead()
        OmegaConf.register_new_resolver("launch_id", lambda: self._launch_id, replace=True)
        self._arguments = list(overrides)
        app = hydra.main(config_path=str(conf_dir()), config_name="train", version_base="1.3")(self._run_job)
        try:
            with ended_by_signals(), _command_line(overrides), user_conf_first(), _full_error("1"):
                app()
        except Interrupted:
            for place in Path(OUTPUTS, RUNS).glob(f"*{self._launch_id}"):
                _remove_empty(place)
            raise
        except COMPOSITION_ERRORS as error:
            if self.failures:  # a job of a multirun, not the composition
                raise
            raise explain_composition(error, [conf_dir(), Path.cwd() / USER_CONF]) from error
        finally:
            GlobalHydra.instance().clear()
        if self._refused:
            raise self._refused

    def _run_job(self, composed: DictConfig) -> float | None:
        """Run one job, as Hydra's task function; return the best score, for sweepers that look at it.

        An error that leaves this function makes Hydra print a line of its own. In a multirun it has to, because the
        sweeper takes the job's status from it; a single job's error waits until Hydra is done.
        """
        context = HydraConfig.get()
        job_dir = Path(context.runtime.output_dir)
        with interruptions_recorded(job_dir):
            return self._run_in(job_dir, composed, list(context.overrides.task), alone=context.mode == RunMode.RUN)

    def _run_in(self, job_dir: Path, composed: DictConfig, overrides: list[str], *, alone: bool) -> float | None:
        try:
            config = self._create_job(composed, job_dir, alone)
        except KeepbestError as error:
            if not alone:
                raise
            self._refused = error
            return None
        _show_launch(config, overrides, alone)
        try:
            with _full_error(self._full_error):
                record = launch(job_dir, config)
        except Exception as error:
            self._tell(error, job_dir)
            if not alone:
                raise
            return None
        self._show(job_dir, record)
        return record.best_model_score

    def sweep(self, sweeper: BasicSweeper, overrides: list[str], settings: Mapping[str, Any]) -> list[RunRecord]:
        """Run the jobs of a sweep, as keepbest's sweeper asks for it; return their records."""
        from keepbest.cli.sweep import run_sweep
        from keepbest.sweeping.hydra_sweep import directory_of

        self.sweep_dir = directory_of(sweeper)
        with _full_error(self._full_error):
            self.runs = run_sweep(sweeper, overrides, settings, self._arguments, resumes=self._resumes)
        return [record for _, record in self.runs]

    def _create_job(self, composed: DictConfig, job_dir: Path, alone: bool) -> PlainConfig:
        try:
            if alone:
                _refuse_settings_of_sweeps()
            config = resolve(composed)
            check(config)
            if fits_one_process(config["trainer"]):  # a worker imports the targets, and checks them, on its own
                check_all_targets(config)
            is_new = create_job(job_dir, job_dir.name if alone else f"{job_dir.parent.name}/{job_dir.name}", config)
        except ConfigError:
            if self._launch_id in str(job_dir):  # Hydra made it for this launch
                _remove_empty(job_dir)
            raise
        if not is_new:
            sys.stdout.write(f"{for_people(job_dir)} holds this run, unfinished: going on with it\n")
        with signals_held():
            if is_new:
                _write_hydra_files(composed, job_dir)
            point_latest(job_dir)
        return config

    def _tell(self, error: Exception, job_dir: Path) -> None:
        self.failures.append(error)
        if not (isinstance(error, WorkerError) and error.told):
            with _full_error(self._full_error):
                explain_failure(error, for_people(job_dir))

    def _show(self, job_dir: Path, record: RunRecord) -> None:
        from keepbest.reports.terminal import show_result

        self.runs.append((job_dir, record))
        show_result(for_people(job_dir), record)


def main(overrides: Sequence[str]) -> int:
    """Run `keepbest train OVERRIDES`; return the exit status."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # the user's own modules lie there
    return run_command(TrainCommand(), overrides)


def run_command(command: TrainCommand, overrides: Sequence[str]) -> int:
    """Run a command; tell what went wrong, and return the exit status."""
    let_readers_leave()
    try:
        command(overrides)
    except SystemExit as request:  # after --help, or for a flag that Hydra does not know
        return request.code if isinstance(request.code, int) else 0 if request.code is None else 1
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one message
        if command.failures:  # a job of a multirun, whose error was told when it happened
            return command.exit_status
        return explain_failure(error)
    return command.exit_status


def _refuse_settings_of_sweeps() -> None:
    for override in HydraConfig.get().overrides.hydra:
        if override.lstrip("+~").startswith("hydra.sweeper."):
            raise ConfigError("settings of hydra.sweeper are for sweeps", received=override, remedy="Add -m")


def _remove_empty(directory: Path) -> None:
    """Remove a directory that nothing was written into."""
    with suppress(OSError):
        directory.rmdir()


def _write_hydra_files(composed: DictConfig, job_dir: Path) -> None:
    """Write `.hydra/` as Hydra does; Hydra itself would write it before the directory is known to be free."""
    context = HydraConfig.instance().cfg
    files = {"config": composed, "hydra": context, "overrides": HydraConfig.get().overrides.task}
    directory = job_dir / ".hydra"
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        (directory / f"{name}.yaml").write_text(OmegaConf.to_yaml(content), encoding="utf-8")


def _show_launch(config: PlainConfig, overrides: list[str], alone: bool) -> None:
    from keepbest.reports.terminal import show_config

    if alone:
        show_config(config)
    else:
        sys.stdout.write(f"\n{' '.join(overrides)}\n")
    sys.stdout.flush()


@contextmanager
def _command_line(overrides: Sequence[str]) -> Iterator[None]:
    """Hydra reads its arguments from `sys.argv`, and wants its flags before the overrides."""
    before = sys.argv
    flags, rest = _split_flags(overrides)
    sys.argv = ["keepbest train", *flags, *rest]
    try:
        yield
    finally:
        sys.argv = before


def _is_plain_sweep(arguments: Sequence[str]) -> bool:
    """Return whether a command line looks like a sweep whose trainings this process will have forked."""
    if any(argument.startswith(_NOT_FORKED) for argument in arguments):
        return False
    flags = [argument for argument in arguments if argument.startswith("-")]
    return set(flags) <= _MULTIRUN_FLAGS and (
        bool(flags) or any(argument.startswith("sweep=") for argument in arguments)
    )


def _split_flags(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's flags, with the values that some take, and the overrides."""
    flags: list[str] = []
    overrides: list[str] = []
    for argument in arguments:
        belongs = bool(flags) and flags[-1] in _FLAGS_WITH_VALUE
        (flags if belongs or argument.startswith("-") else overrides).append(argument)
    return flags, overrides


@contextmanager
def _full_error(value: str | None) -> Iterator[None]:
    """Set or unset HYDRA_FULL_ERROR: with "1" Hydra raises its errors instead of printing them."""
    before = os.environ.pop(FULL_ERROR, None)
    if value is not None:
        os.environ[FULL_ERROR] = value
    try:
        yield
    finally:
        os.environ.pop(FULL_ERROR, None)
        if before is not None:
            os.environ[FULL_ERROR] = before
