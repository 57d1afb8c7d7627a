"""The words of columns that have few: each may be written as the record has it, or as a table prints it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keepbest.errors import ConfigError, did_you_mean
from keepbest.reading.job_records import MISSING, UNREADABLE
from keepbest.records.run_record import RunStatus
from keepbest.stopping.reasons import StopReason, in_words

VOCABULARY: Mapping[str, tuple[str, ...]] = {
    "kind": ("run", "job", "sweep"),
    "status": (*(status.value for status in RunStatus), MISSING, UNREADABLE),
    "mode": ("min", "max"),
    "reason": tuple(reason.value for reason in StopReason),
}
"""By column."""


class Word(str):
    """A text that equals several.

    Attributes:
        written: what it equals.
    """

    written: frozenset[str]

    @classmethod
    def of(cls, text: str, also: Iterable[str] = ()) -> Word:
        """Return a word of a column.

        Args:
            text: as the record has it; what is printed for it counts as well.
            also: other words that count, such as the statuses of a sweep's jobs.
        """
        word = cls(text)
        word.written = frozenset({text, text.replace("_", " "), in_words(text), *also})
        return word


def require_known(column: str, texts: Iterable[Any], values: Iterable[Any]) -> None:
    """Refuse to compare a column of few words with another.

    Args:
        column: any; of one that has no vocabulary nothing is refused.
        texts: what it is compared with.
        values: those that it has.

    Raises:
        ConfigError: for a text that is neither one of its words nor equal to a value.
    """
    words = VOCABULARY.get(column, ())
    there = [value for value in values if isinstance(value, Word)]
    known = {text for word in (*map(Word.of, words), *there) for text in word.written}
    for text in texts if words else ():
        if isinstance(text, str) and text not in known:
            raise ConfigError(
                f"{column} is one of {', '.join(words)}", received=text, remedy=did_you_mean(text, words) or None
            )
