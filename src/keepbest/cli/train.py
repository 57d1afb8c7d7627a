"""`keepbest train`: a Hydra application that composes a config, writes it into a job directory and has it run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from keepbest.composition.explain import COMPOSITION_ERRORS, explain_composition
from keepbest.composition.resolved import PlainConfig, resolve
from keepbest.composition.search_path import USER_CONF, conf_dir, user_conf_first
from keepbest.errors import ConfigError, KeepbestError
from keepbest.records.locations import new_id, point_latest
from keepbest.records.run_record import RunRecord
from keepbest.training.job import create_job
from keepbest.training.launch import launch
from keepbest.training.reporting import FULL_ERROR, exit_status_of, explain_failure
from keepbest.training.worker_process import WorkerError


class TrainCommand:
    """One call of `keepbest train`, which may launch one job or, with `-m`, several.

    Attributes:
        runs: the directory and the record of each job that ran in this process to its end.
        exit_status: 0, or what the last job that did not complete asks for.
    """

    def __init__(self) -> None:
        self.runs: list[tuple[Path, RunRecord]] = []
        self.exit_status = 0
        self._refused: KeepbestError | None = None
        self._full_error = os.environ.get(FULL_ERROR)

    def __call__(self, overrides: Sequence[str]) -> None:
        """Let Hydra read the overrides and run the jobs.

        Raises:
            KeepbestError: for a config that cannot work, before anything is trained.
        """
        OmegaConf.register_new_resolver("launch_id", new_id, use_cache=True, replace=True)
        app = hydra.main(config_path=str(conf_dir()), config_name="train", version_base="1.3")(self._run_job)
        try:
            with _command_line(overrides), user_conf_first(), _full_error("1"):
                app()
        except COMPOSITION_ERRORS as error:
            raise explain_composition(error, [conf_dir(), Path.cwd() / USER_CONF]) from error
        finally:
            GlobalHydra.instance().clear()
        if self._refused:
            raise self._refused

    def _run_job(self, composed: DictConfig) -> float | None:
        """Run one job, as Hydra's task function; return the best score, for sweepers that look at it."""
        context = HydraConfig.get()
        job_dir, alone = Path(context.runtime.output_dir), context.mode == RunMode.RUN
        try:
            config = self._create_job(composed, job_dir, alone)
        except KeepbestError as error:
            if not alone:
                raise
            self._refused = error  # raised once Hydra is done, which would add a line of its own
            return None
        _show_launch(config, list(context.overrides.task), alone)
        try:
            with _full_error(self._full_error):
                record = launch(job_dir, config)
        except Exception as error:
            self.exit_status = self._explain(error, job_dir)
            if not alone:
                raise
            return None
        self._take(job_dir, record)
        return record.best_model_score

    def _create_job(self, composed: DictConfig, job_dir: Path, alone: bool) -> PlainConfig:
        try:
            config = resolve(composed)
            create_job(job_dir, job_dir.name if alone else f"{job_dir.parent.name}/{job_dir.name}", config)
        except ConfigError:
            _discard(job_dir)
            raise
        point_latest(job_dir)
        return config

    def _explain(self, error: Exception, job_dir: Path) -> int:
        if isinstance(error, WorkerError) and error.told:
            return error.exit_status
        with _full_error(self._full_error):
            return explain_failure(error, _for_people(job_dir))

    def _take(self, job_dir: Path, record: RunRecord) -> None:
        from keepbest.reports.terminal import show_result

        show_result(_for_people(job_dir), record)
        self.runs.append((job_dir, record))
        self.exit_status = self.exit_status or exit_status_of(record)


def main(overrides: Sequence[str]) -> int:
    """Run `keepbest train OVERRIDES`; return the exit status."""
    sys.path.insert(0, str(Path.cwd()))  # the user's own modules lie there
    command = TrainCommand()
    try:
        command(overrides)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output, such as `head`, has left
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one message
        if command.exit_status:  # a job of a multirun failed, and its error was told when it happened
            return command.exit_status
        return explain_failure(error)
    return command.exit_status


def _show_launch(config: PlainConfig, overrides: list[str], alone: bool) -> None:
    from keepbest.reports.terminal import show_config

    if alone:
        show_config(config)
    else:
        sys.stdout.write(f"\n{' '.join(overrides)}\n")
    sys.stdout.flush()


def _for_people(path: Path) -> Path:
    """Return a path as a person at this directory would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _discard(job_dir: Path) -> None:
    """Remove the directory that Hydra made for a job that was refused, if nothing else is in it."""
    if {path.name for path in job_dir.iterdir()} <= {".hydra"}:
        shutil.rmtree(job_dir)


@contextmanager
def _command_line(overrides: Sequence[str]) -> Iterator[None]:
    """Hydra reads its overrides from `sys.argv`."""
    before = sys.argv
    sys.argv = ["keepbest train", *overrides]
    try:
        yield
    finally:
        sys.argv = before


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
