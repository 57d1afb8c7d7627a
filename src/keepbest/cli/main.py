"""`keepbest COMMAND ...`: finds the command and hands over."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from keepbest.errors import did_you_mean

_USAGE = """\
keepbest: experiments that stop when they should, keep the best weights and can prove it.

usage: keepbest COMMAND ...

  train [OVERRIDES...] [-m]    a single experiment, or several with -m; `keepbest train --help` lists what to choose
  resume RUN [OVERRIDES...]    a run, where it left off; overrides may change what decides its end

  --help, --version
"""
_COMMANDS = ("train", "resume")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit status."""
    command, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    if command in ("--help", "-h", "help"):
        sys.stdout.write(_USAGE)
        return 0
    if command == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"keepbest {version('keepbest')}\n")
        return 0
    if command == "train":
        from keepbest.cli.train import main as train

        return train(rest)
    if command == "resume":
        from keepbest.cli.resume import main as resume

        return resume(rest)
    sys.stderr.write(
        f"keepbest: there is no command {command!r}. {did_you_mean(command, _COMMANDS)} See keepbest --help.\n"
    )
    return 2
