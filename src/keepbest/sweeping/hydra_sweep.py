"""What a sweep takes from Hydra's sweeper: the directory, the jobs, the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from keepbest.sweeping.settings import SweepSettings
from keepbest.sweeping.sweep_run import SweepRun

if TYPE_CHECKING:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    from keepbest.sweeping.training_watch import Listener

MULTIRUN_FILE = "multirun.yaml"


def open_sweep(
    sweeper: BasicSweeper, settings: Mapping[str, Any], listener: Listener, arguments: Sequence[str], *, resumes: bool
) -> SweepRun:
    """Return the sweep of a sweeper that was set up."""
    assert sweeper.config is not None
    assert sweeper.hydra_context is not None
    return SweepRun(
        sweeper.hydra_context, sweeper.config, SweepSettings(**settings), listener, arguments, resumes=resumes
    )


def batches_of(sweeper: BasicSweeper, arguments: Sequence[str]) -> Iterator[list[list[str]]]:
    """Yield the overrides of the jobs, `hydra.sweeper.max_batch_size` jobs at a time, as Hydra's basic sweeper does."""
    assert sweeper.hydra_context is not None
    texts = [*(f"{key}={value}" for key, value in (sweeper.params or {}).items()), *arguments]
    parser = OverridesParser.create(config_loader=sweeper.hydra_context.config_loader)
    yield from sweeper.split_arguments(parser.parse_overrides(texts), sweeper.max_batch_size)


def write_multirun(sweeper: BasicSweeper, directory: Path) -> None:
    """Write `multirun.yaml`, as Hydra's sweepers do."""
    directory.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(sweeper.config, directory / MULTIRUN_FILE)
