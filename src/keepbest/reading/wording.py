"""Numbers as people write them in a sentence, and commands as they paste them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence


def counted(number: int, noun: str) -> str:
    """Return a number of things: `1 job`, `2 jobs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as a person lists them: `0-3, 8`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, dict.fromkeys(part))) for part in parts)


def pasted(arguments: Sequence[str]) -> str:
    """Return a command line that can be pasted; the first word is the command with its subcommand."""
    return " ".join([*arguments[:1], *map(shlex.quote, arguments[1:])])
