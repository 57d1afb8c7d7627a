"""The options of the config groups that a run was composed of, such as `model=cnn`, as Hydra noted them."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

from keepbest.errors import RecordError
from keepbest.reading.run_files import LARGEST_CONFIG, require_file

HYDRA_FILE = ".hydra/hydra.yaml"
_BLOCK = "\n    choices:\n"
_LINE = re.compile(r" {6}([A-Za-z0-9_@./-]+): (['\"]?)([A-Za-z0-9_.-]+)\2")


class NullOption(str):
    """An option that stands for nothing: there is null in the config."""


def recorded_choices(directory: Path) -> dict[str, str | None]:
    """Return the options by group, without Hydra's own groups; nothing where they cannot be read.

    The file is somebody's: it is not parsed as YAML, and only lines of the form that Hydra writes are taken. An
    option that YAML would take for something else than a text stands in quotes: `'off'`, `'1'`.

    Args:
        directory: the run's, absolute and without links.
    """
    try:
        text = require_file(directory, HYDRA_FILE, LARGEST_CONFIG).read_text(encoding="utf-8")
    except (OSError, ValueError, RecordError):
        return {}
    _, found, block = text.partition(_BLOCK)
    lines = takewhile(lambda line: line.startswith("      "), block.splitlines()) if found else ()
    pairs = [match.groups() for line in lines if (match := _LINE.fullmatch(line))]
    return {
        group: None if (quote, option) == ("", "null") else option
        for group, quote, option in pairs
        if group.partition("/")[0] != "hydra"
    }
