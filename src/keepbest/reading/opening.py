"""The line that opens a run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.composition.allowance import module_to_name, modules_wanted_by, opening, paths_beyond
from keepbest.composition.resolved import read_config

if TYPE_CHECKING:
    from keepbest.composition.resolved import PlainConfig


def opening_expression(directory: Path, opener: str = "open_run", config: PlainConfig | None = None) -> str:
    """Return the expression that opens a run or a sweep, which may be anybody's: it never says `trust=True`.

    Args:
        directory: of the run or the sweep, as it is to be shown.
        opener: the public name that opens it.
        config: of a run; the modules that its model and data come from are named.
    """
    made = [config.get(section) for section in ("model", "data")] if config else []
    modules = list(modules_wanted_by(made))
    named = f", modules={json.dumps(modules)}" if modules else ""
    return f"keepbest.{opener}({json.dumps(str(directory), ensure_ascii=False)}{named})"


def opening_line(run_dir: Path, config: PlainConfig | None = None) -> str:
    """Return what to type to open a run of one's own: with the modules that its model and data come from.

    Args:
        run_dir: the run's directory, as it is to be shown.
        config: the run's; None reads it there.

    Raises:
        RecordError: when it holds no config.
    """
    config = read_config(run_dir) if config is None else config
    made = [config.get(section) for section in ("model", "data")]
    calls_functions = any(module_to_name(path) is None for path in paths_beyond(made))
    return opening(run_dir, modules_wanted_by(made), trust=calls_functions)
