"""What the commands that read have in common: their arguments, and how they end."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from keepbest.cli.departing_readers import let_readers_leave
from keepbest.errors import ConfigError, printable
from keepbest.records.store import RUN_FILE, SWEEP_FILE
from keepbest.training.interruption import as_interruption
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

    What goes wrong after a signal is its doing, whatever it is called: Python's import, for one, calls a module that it
    could not finish an error of its own.

    Args:
        parser: of its arguments.
        arguments: what a person typed behind its name.
        command: does it, and returns the exit status.
        needs_arguments: whether it has nothing to do without any: a person is shown how to call it.

    Raises:
        Interrupted: when a signal came.
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
    except Exception as error:
        if interruption := as_interruption(error):
            raise interruption from error
        return explain_failure(error)


def replace_what_has_no_code(stream: TextIO) -> None:
    """Let a stream write an escape where its encoding has no code for a character."""
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")


def write_out(path: Path, write: Callable[[], object]) -> None:
    """Write a file that a person named, outside runs and sweeps.

    Args:
        path: of the file.
        write: writes it.

    Raises:
        ConfigError: when it lies in a run or a sweep, or cannot be written.
    """
    require_outside_runs(path)
    try:
        write()
    except (OSError, ValueError) as error:  # a directory that is not there, a kind of picture that is unknown
        raise ConfigError(f"the file must be one that can be written: {error}") from error


def write_table(path: Path, write: Callable[[TextIO], object]) -> None:
    """Write a table to the file that a person named, or to standard output for `-`.

    Args:
        path: of the file.
        write: writes the table to an open file.

    Raises:
        ConfigError: see `write_out`.
    """

    def write_file() -> None:
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            write(file)

    if is_standard_output(path):
        write(sys.stdout)
    else:
        write_out(path, write_file)
        sys.stdout.write(f"{'table':<13}{printable(str(path))}\n")


def is_standard_output(path: Path | None) -> bool:
    """Return whether a person means standard output."""
    return str(path) == "-"


def require_outside_runs(path: Path) -> None:
    """Refuse to write a file into a run or a sweep, whichever it is.

    Raises:
        ConfigError: when its directory, or one above it, holds a record.
    """
    place = path.resolve()
    for directory in place.parents:
        if any(os.path.lexists(directory / name) for name in (RUN_FILE, SWEEP_FILE)):
            raise ConfigError(
                "what is written must not lie in a run or a sweep", received=str(path), remedy="Choose another place"
            )
