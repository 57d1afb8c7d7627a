"""What the commands that read have in common: their arguments, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from keepbest.cli.departing_readers import let_readers_leave
from keepbest.errors import ConfigError
from keepbest.training.reporting import explain_failure


class Arguments(argparse.ArgumentParser):
    """The arguments of one command; it tells what is wrong with them as every command does.

    Args:
        command: its name.
        description: what it does.
        examples: what a person would type.
    """

    def __init__(self, command: str, description: str, examples: str) -> None:
        super().__init__(
            f"keepbest {command}",
            description=description,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Refuse a command line.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self.prog} cannot be called so: {message}", remedy=f"See {self.prog} --help")


def run_reading(
    parser: Arguments,
    arguments: Sequence[str],
    command: Callable[[argparse.Namespace], int],
    *,
    needs_arguments: bool = True,
) -> int:
    """Run a command; tell what went wrong, and return the exit status.

    Args:
        parser: of its arguments.
        arguments: what a person typed behind its name.
        command: does it, and returns the exit status.
        needs_arguments: whether it has nothing to do without any: a person is shown how to call it.
    """
    let_readers_leave()
    if needs_arguments and not arguments:
        sys.stderr.write(parser.format_help())
        return 2
    replace_what_has_no_code(sys.stdout)
    try:
        return command(parser.parse_intermixed_args(arguments))
    except SystemExit:  # --help
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one message
        return explain_failure(error)


def replace_what_has_no_code(stream: TextIO) -> None:
    """Let a stream write an escape where its encoding has no code for a character."""
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")


def write_out(path: Path, write: Callable[[], object], protected: Sequence[Path] = ()) -> None:
    """Write a file that a person named.

    Args:
        path: of the file.
        write: writes it.
        protected: directories of runs, in which nothing is written.

    Raises:
        ConfigError: when it cannot be written.
    """
    place = path.expanduser().resolve()
    if any(place.is_relative_to(directory.resolve()) for directory in protected):
        raise ConfigError("what is written must not lie in a run that is read", received=str(path))
    try:
        write()
    except OSError as error:  # a directory that is not there
        raise ConfigError(f"the file must be one that can be written: {error}") from error
