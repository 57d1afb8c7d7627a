"""The overrides that make the jobs of a sweep what they are: their keys, short names and values."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence

from keepbest.records.sweep_record import SweepJob

Value = str | int | float | bool | None

# Hydra's grammar of primitive values, hydra/grammar/OverrideLexer.g4
_DIGITS = r"\d(?:_?\d)*"
_UNSIGNED = r"(?:0|[1-9](?:_?\d)*)"
_POINT = rf"(?:{_UNSIGNED}\.|{_UNSIGNED}?\.{_DIGITS})"
_INT = re.compile(rf"[+-]?{_UNSIGNED}", re.ASCII)
_FLOAT = re.compile(
    rf"[+-]?(?:(?:{_UNSIGNED}|{_POINT})e[+-]?{_DIGITS}|{_POINT}|inf|nan)", re.ASCII | re.IGNORECASE
)  # fmt: skip
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}
_QUOTED = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")
_MOST_DIGITS = 400  # no number of an experiment; Python refuses to read thousands of them


def overrides_of(job: SweepJob) -> dict[str, str]:
    """Return the values of a job's overrides by key, as they were written."""
    pairs = (override.partition("=") for override in job.overrides)
    return {key.lstrip("+~"): value for key, _, value in pairs}


def common(jobs: Sequence[SweepJob]) -> dict[str, str]:
    """Return the overrides that all jobs have, by key."""
    first, *others = [overrides_of(job) for job in jobs] or [{}]
    return {key: value for key, value in first.items() if all(one.get(key) == value for one in others)}


def varying(jobs: Iterable[SweepJob]) -> list[str]:
    """Return the keys of the overrides in which jobs differ, in the order in which they were given."""
    seen: dict[str, set[str | None]] = {}
    listed = [overrides_of(job) for job in jobs]
    for overrides in listed:
        for key in overrides:
            seen.setdefault(key, set())
    for key, values in seen.items():
        values.update(overrides.get(key) for overrides in listed)
    return [key for key, values in seen.items() if len(values) > 1]


def short_names(keys: Sequence[str], taken: Container[str] = ()) -> list[str]:
    """Return the last part of each key, or the whole of it where two keys end alike or the name is taken.

    What Hydra itself reads, such as `_target_`, says nothing without what it belongs to: these keep their last two.
    """
    lasts = [_last_part(key) for key in keys]
    return [
        last if last and lasts.count(last) == 1 and last not in taken else key
        for key, last in zip(keys, lasts, strict=True)
    ]


def _last_part(key: str) -> str:
    *before, last = re.split(r"[./]", key)
    return ".".join([*before[-1:], last]) if last.startswith("_") and last.endswith("_") else last


def value_of(text: str) -> Value:
    """Return the value of an override as Hydra reads it: a number, a truth value, None or a text.

    What is more than one value (a list, a mapping) stays the text that was written, and so does a text with escapes.
    """
    text = text.strip(" \t")
    if len(text) <= _MOST_DIGITS:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    quoted = _QUOTED.fullmatch(text)
    return text if quoted is None else quoted[1] or quoted[2] or ""
