"""The overrides that a run was given: as Hydra noted them beside it, or as its command line says."""

from __future__ import annotations

from pathlib import Path

import yaml

from keepbest.errors import RecordError, printable
from keepbest.reading.run_files import require_file
from keepbest.records.run_record import RunRecord
from keepbest.records.store import MEMBERS_FILE

OVERRIDES_FILE = ".hydra/overrides.yaml"
_LARGEST = 1 << 16  # bytes
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may lack libyaml
_AROUND = (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.SequenceStartEvent,
           yaml.SequenceEndEvent, yaml.DocumentEndEvent, yaml.StreamEndEvent)  # fmt: skip


def given_overrides(directory: Path, record: RunRecord) -> dict[str, str]:
    """Return the overrides of a run by key, without Hydra's own settings.

    A run of a sweep has the sweep's command line: what Hydra noted is preferred. Of a shared training, which no command
    line describes, there are none.

    Args:
        directory: the run's, absolute and without links; it may be anybody's.
        record: of the run.
    """
    noted = _noted(directory)
    if noted is None:
        noted = [] if (directory / MEMBERS_FILE).exists() else record.environment.argv[1:]
    return by_key(noted)


def by_key(arguments: list[str]) -> dict[str, str]:
    """Return the overrides among the arguments of a command line."""
    pairs = (argument.partition("=") for argument in arguments if "=" in argument and not argument.startswith("-"))
    given = {printable(key.lstrip("+~")): printable(value) for key, _, value in pairs}
    return {key: value for key, value in given.items() if not key.startswith(("hydra.", "hydra/"))}


def _noted(directory: Path) -> list[str] | None:
    """Return the list that Hydra wrote; None where there is none, or something else than a list of plain texts."""
    try:
        text = require_file(directory, OVERRIDES_FILE, _LARGEST).read_text(encoding="utf-8")
        return _texts(text)
    except (OSError, ValueError, RecordError, yaml.YAMLError):
        return None


def _texts(text: str) -> list[str]:
    """Return a YAML list of texts. Nothing is built from it: tags, anchors and what is nested are refused."""
    texts, around = [], []
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.ScalarEvent) and event.tag is None and event.anchor is None:
            texts.append(event.value)
        else:
            around.append(type(event))
        if len(around) > len(_AROUND) or getattr(event, "tag", None) or getattr(event, "anchor", None):
            raise ValueError("not a list of texts")
    if around != list(_AROUND):
        raise ValueError("not a list of texts")
    return texts
