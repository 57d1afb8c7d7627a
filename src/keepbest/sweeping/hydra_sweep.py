"""What a sweep takes from Hydra's sweeper: the directory, the jobs, the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from keepbest.sweeping.search import Search
from keepbest.sweeping.search_space import read_space
from keepbest.sweeping.settings import search_settings, sweep_settings
from keepbest.sweeping.sweep_run import SweepRun

if TYPE_CHECKING:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.types import Override

    from keepbest.sweeping.training_watch import Listener

MULTIRUN_FILE = "multirun.yaml"


def directory_of(sweeper: BasicSweeper) -> Path:
    """Return the directory of the sweep of a sweeper that was set up, absolute."""
    assert sweeper.config is not None
    return Path(str(sweeper.config.hydra.sweep.dir)).absolute()


def open_sweep(
    sweeper: BasicSweeper, settings: Mapping[str, Any], listener: Listener, arguments: Sequence[str], *, resumes: bool
) -> SweepRun:
    """Return the sweep of a sweeper that was set up."""
    assert sweeper.config is not None
    assert sweeper.hydra_context is not None
    return SweepRun(
        sweeper.hydra_context,
        sweeper.config,
        sweep_settings({**settings, "max_batch_size": sweeper.max_batch_size}),
        listener,
        arguments,
        resumes=resumes,
    )


def jobs_of(sweeper: BasicSweeper, arguments: Sequence[str]) -> list[list[str]]:
    """Return the overrides of all jobs: `hydra.sweeper.max_batch_size` is about trainings, see `Launching`."""
    (jobs,) = sweeper.split_arguments(_overrides(sweeper, arguments), None)
    return jobs


def open_search(
    sweeper: BasicSweeper, sweep: SweepRun, settings: Mapping[str, Any], arguments: Sequence[str]
) -> Search | None:
    """Return the search that a sweeper asks for; None for one that has all its jobs in its overrides.

    Raises:
        ConfigError: for a search that cannot work.
    """
    wanted = search_settings(settings)
    return Search(sweep, read_space(_overrides(sweeper, arguments)), wanted) if wanted else None


def _overrides(sweeper: BasicSweeper, arguments: Sequence[str]) -> list[Override]:
    assert sweeper.hydra_context is not None
    texts = [*(f"{key}={value}" for key, value in (sweeper.params or {}).items()), *arguments]
    return OverridesParser.create(config_loader=sweeper.hydra_context.config_loader).parse_overrides(texts)


def write_multirun(sweeper: BasicSweeper, directory: Path) -> None:
    """Write `multirun.yaml`, as Hydra's sweepers do."""
    directory.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(sweeper.config, directory / MULTIRUN_FILE)
