"""The order of rows: by time, by any value, and by score, which says itself what is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from keepbest.reading.listed_run import ListedRun
from keepbest.records.run_record import RunStatus


def newest_first(rows: Iterable[ListedRun], *, reverse: bool = False) -> list[ListedRun]:
    """Return rows by when they began; jobs that began together, as those of one training do, in their order."""
    numbered = sorted(rows, key=lambda row: _natural(row.name), reverse=reverse)
    return sorted(numbered, key=lambda row: row.time, reverse=not reverse)


def by_column(
    rows: Sequence[ListedRun], name: str, lookup: Callable[[ListedRun], Any], *, reverse: bool = False
) -> list[ListedRun]:
    """Return rows by a value, the smallest first, numbers before texts; those without one last, in their order.

    By score: one objective after the other, in each the completed ones first and the best of them at the top.

    Args:
        rows: in the order that equal ones keep.
        name: of the value.
        lookup: returns it for a row, None where there is none.
        reverse: whether the last come first.
    """

    def value(row: ListedRun) -> Any:
        return getattr(row, name) if name in ("score", "started") else lookup(row)

    by_score = _score_key(rows)
    there = [row for row in rows if not _is_missing(value(row))]
    ordered = sorted(
        there, key=lambda row: by_score(row) if name == "score" else _value_key(value(row)), reverse=reverse
    )
    return [*ordered, *(row for row in rows if _is_missing(value(row)))]


def _score_key(rows: Sequence[ListedRun]) -> Callable[[ListedRun], Any]:
    objectives = list(dict.fromkeys(row.record.objective for row in rows if row.record))

    def key(row: ListedRun) -> tuple[int, bool, float]:
        if row.record is None or row.score is None:
            raise ValueError("a row without a score has no place by its score")
        signed = row.score if row.record.objective.mode == "min" else -row.score
        is_open = row.record.status is not RunStatus.COMPLETED
        return objectives.index(row.record.objective), is_open, signed

    return key


def _value_key(value: Any) -> tuple[int, float, str]:
    if isinstance(value, datetime):
        return 0, value.timestamp(), ""
    if isinstance(value, (bool, int, float)):
        return 0, _as_float(value), ""
    return 1, 0.0, str(value)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _natural(name: str) -> tuple[str, int, str]:
    """Return a key by which job 10 comes behind job 9."""
    head, _, last = name.rpartition("/")
    return (head, int(last), "") if last.isascii() and last.isdigit() and len(last) < 18 else (head, 0, last)
