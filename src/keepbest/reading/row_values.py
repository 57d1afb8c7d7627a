"""The values of rows by name: columns, and what the configs and overrides of the runs say.

Configs are read only when a name is none of the columns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from keepbest.errors import ConfigError, IntegrityError, RecordError, did_you_mean
from keepbest.reading.choices import recorded_choices
from keepbest.reading.config_reader import ConfigReader
from keepbest.reading.listed_run import ALIASES, COLUMNS, ListedRun
from keepbest.reading.overrides import value_of

Lookup = Callable[[ListedRun], Any]
_POLICY = "callbacks.early_stopping."
_MOST_SHOWN = 5


class RowValues:
    """Finds what a name means for all rows alike.

    A name is, in this order: a column; a whole key, such as `model.optimizer.lr` or a group (`model/optimizer`); a
    setting of early stopping (`patience`); the end of one key only (`lr`, `optimizer.lr`).

    Args:
        rows: all that are listed.
    """

    def __init__(self, rows: Sequence[ListedRun]) -> None:
        self._rows = rows
        self._known_choices: dict[int, dict[str, str | None]] = {}

    def named(self, names: Iterable[str]) -> dict[str, Lookup]:
        """Return for each name what looks its value up in a row.

        Raises:
            ConfigError: for one that no row has, or that could be several.
        """
        return {name: self._lookup(name) for name in names}

    def _lookup(self, name: str) -> Lookup:
        column = ALIASES.get(name, name)
        if column in COLUMNS:
            return lambda row: _plain(row.value(column))
        if not self._rows:
            return lambda _: None
        key = self._key(name)
        return lambda row: self._value(row, key)

    def _key(self, name: str) -> str:
        for key in (name, f"{_POLICY}{name}"):
            if key in self._keys or key in self._groups:
                return key
        dotted = dict.fromkeys(key.replace("/", ".") for key in self._keys)
        ends = [key for key in dotted if key.endswith(f".{name}")]
        if len(ends) == 1:
            return ends[0]
        if ends:
            shown = ", ".join(ends[:_MOST_SHOWN]) + (", ..." if len(ends) > _MOST_SHOWN else "")
            raise ConfigError(
                f"a name must be the end of one key, there are {len(ends)}: {shown}",
                received=name,
                remedy="Write the whole key",
            )
        lasts = (key.rpartition(".")[2] for key in self._keys)
        near = did_you_mean(name, dict.fromkeys([*COLUMNS, *ALIASES, *lasts, *self._keys, *self._groups]))
        raise ConfigError(
            f"a name must be a column ({', '.join(COLUMNS)}) or a setting that a run has",
            received=name,
            remedy=near or None,
        )

    def _value(self, row: ListedRun, key: str) -> Any:
        known = self._settings[id(row)]
        found = known.get(key)
        if key in known and not isinstance(found, Mapping):
            return found
        group = key.replace(".", "/")  # its settings are a mapping
        for given in (key, group):
            if given in row.overrides:
                return value_of(row.overrides[given])
        return self._choices(row).get(group, found)

    @functools.cached_property
    def _keys(self) -> dict[str, None]:
        """All keys of configs and overrides, those of mappings too."""
        return dict.fromkeys(key for row in self._rows for key in (*self._settings[id(row)], *row.overrides))

    @functools.cached_property
    def _groups(self) -> set[str]:
        return {group for row in self._rows for group in self._choices(row)}

    @functools.cached_property
    def _settings(self) -> dict[int, dict[str, Any]]:
        reader = ConfigReader()
        return {id(row): _settings_of(row, reader) for row in self._rows}

    def _choices(self, row: ListedRun) -> dict[str, str | None]:
        if id(row) not in self._known_choices:
            self._known_choices[id(row)] = recorded_choices(row.directory) if row.directory else {}
        return self._known_choices[id(row)]


def _settings_of(row: ListedRun, reader: ConfigReader) -> dict[str, Any]:
    """Return the values of a row's config by dotted key; none of a config that cannot be read."""
    if row.directory is None or row.record is None:
        return {}
    try:
        return dict(_flat(reader.read(row.directory, row.record.config_sha256)))
    except (RecordError, IntegrityError):
        return {}


def _flat(config: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        key = f"{above}{name}"
        yield key, value
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")


def _plain(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else value
