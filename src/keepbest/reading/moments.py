"""Times, as rows show them and as conditions mean them: in the time zone of this machine."""

from __future__ import annotations

import re
from datetime import datetime

from keepbest.errors import ConfigError

_SHOWN = "%Y-%m-%d %H:%M:%S"
_WRITTEN = re.compile(r"\d{4}(-\d\d(-\d\d( \d\d(:\d\d(:\d\d)?)?)?)?)?")


class Moment(str):
    """A time that is compared with a text as far as that is written.

    It equals `2026-11-22` all day long, and is later than `2026-11-22` from the next day on.
    """

    @classmethod
    def of(cls, time: datetime) -> Moment:
        """Return a time with a zone as a text in that of this machine."""
        return cls(time.astimezone().strftime(_SHOWN))

    def as_far_as(self, text: str) -> tuple[str, str]:
        """Return this time cut to the precision of a text, and the text.

        Args:
            text: `2026`, `2026-11-22`, `2026-11-22 16:58`, with T in place of the space as well; one with a zone, as
                JSON has it, is one second.

        Raises:
            ConfigError: for what is no time.
        """
        written = _local(text.strip())
        if written is None:
            raise ConfigError("a time is compared with a text such as '2026-11-22 16:58'", received=text)
        return self[: len(written)], written


def shown(time: datetime | None) -> str:
    """Return a time as a table shows it, to the minute; nothing for none."""
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M")


def _local(text: str) -> str | None:
    """Return what a text means as a `Moment` has it; None where it is no time."""
    plain = text.replace("T", " ")
    if _WRITTEN.fullmatch(plain):
        return plain
    try:
        time = datetime.fromisoformat(text)
        return str(Moment.of(time)) if time.tzinfo else None
    except (ValueError, OverflowError):
        return None
