"""The values of rows by name: columns, and what the configs and overrides of the runs say.

Configs are read only when a name is none of the columns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from keepbest.errors import ConfigError, IntegrityError, RecordError, did_you_mean
from keepbest.reading.choices import NullOption, recorded_choices
from keepbest.reading.config_reader import ConfigReader
from keepbest.reading.listed_run import ALIASES, COLUMNS, ListedRun
from keepbest.reading.moments import Moment
from keepbest.reading.overrides import value_of
from keepbest.reading.words import VOCABULARY, Word

Lookup = Callable[[ListedRun], Any]
_POLICY = "callbacks.early_stopping."
_MOST_SHOWN = 5


class RowValues:
    """Finds what a name means in each row.

    A name is, in this order: a column; a whole key of the row, such as `model.optimizer.lr` or a group
    (`model/optimizer`); a setting of early stopping, where any row has that (`patience`); the end of one key of the row
    (`lr`, `optimizer.lr`). A group has its option as its value; where the config is null there, it is null as well.

    Args:
        rows: all that are listed.
    """

    def __init__(self, rows: Sequence[ListedRun]) -> None:
        self._rows = rows
        self._known_choices: dict[int, dict[str, str | None]] = {}
        self._known_keys: dict[int, dict[str, None]] = {}

    def named(self, names: Iterable[str]) -> dict[str, Lookup]:
        """Return for each name what looks its value up in a row.

        Raises:
            ConfigError: for one that no row has, or that could be several in one.
        """
        return {name: self._lookup(name) for name in names}

    def _lookup(self, name: str) -> Lookup:
        column = ALIASES.get(name, name)
        if column in COLUMNS:
            return lambda row: _comparable(row, column)
        keys = self._keys_meant(name)
        return lambda row: None if keys[id(row)] is None else self._value(row, str(keys[id(row)]))

    def _keys_meant(self, name: str) -> dict[int, str | None]:
        """Return the key that a name means in each row; None in one that has no such key."""
        policy, end = f"{_POLICY}{name}", f".{_dotted(name)}"
        ends = [policy] if policy in self._keys else [key for key in self._keys if key.endswith(end)]
        meant = {id(row): self._key_in(row, name, ends) for row in self._rows}
        if not self._rows or any(meant.values()):
            return meant
        lasts = (key.rpartition(".")[2] for key in self._keys)
        near = did_you_mean(name, dict.fromkeys([*COLUMNS, *ALIASES, *lasts, *self._keys]))
        raise ConfigError(
            f"a name must be a column ({', '.join(COLUMNS)}) or a setting that a run has",
            received=name,
            remedy=near or None,
        )

    def _key_in(self, row: ListedRun, name: str, ends: Sequence[str]) -> str | None:
        there = self._keys_of(row)
        if _dotted(name) in there:
            return name
        found = [key for key in ends if key in there]
        if len(found) > 1:
            shown = ", ".join(found[:_MOST_SHOWN]) + (", ..." if len(found) > _MOST_SHOWN else "")
            raise ConfigError(
                f"a name must be the end of one key in a run, {row.path} has {len(found)}: {shown}",
                received=name,
                remedy="Write the whole key",
            )
        return next(iter(found), None)

    def _value(self, row: ListedRun, key: str) -> Any:
        known = self._settings[id(row)]
        found = known.get(_dotted(key))
        if found is not None and not isinstance(found, Mapping):
            return found
        option = self._option(row, key)  # its settings are a mapping, or null
        if option is None:
            return found
        is_null = found is None and _dotted(key) in known
        return NullOption(option) if is_null and isinstance(option, str) else option

    def _option(self, row: ListedRun, key: str) -> Any:
        """Return the option of a group; None where there is no such group."""
        group = key.replace(".", "/")
        for given in (key, group):
            if given in row.overrides:
                return value_of(row.overrides[given])
        return self._choices(row).get(group)

    @functools.cached_property
    def _keys(self) -> dict[str, None]:
        """All keys that a row has, with dots."""
        return dict.fromkeys(key for row in self._rows for key in self._keys_of(row))

    def _keys_of(self, row: ListedRun) -> dict[str, None]:
        """The keys of a row's config, those of mappings too, of its overrides and of its groups, with dots."""
        if id(row) not in self._known_keys:
            groups = map(_dotted, (*row.overrides, *self._choices(row)))
            self._known_keys[id(row)] = dict.fromkeys((*self._settings[id(row)], *groups))
        return self._known_keys[id(row)]

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


def _dotted(key: str) -> str:
    return key.replace("/", ".")


def _comparable(row: ListedRun, column: str) -> Any:
    """Return the value of a column as conditions compare it; the status of a sweep is that of any of its jobs."""
    value = row.value(column)
    if column in VOCABULARY and isinstance(value, str):
        return Word.of(value, row.statuses if column == "status" else ())
    return Moment.of(value) if isinstance(value, datetime) else value
