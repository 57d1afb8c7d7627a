"""`keepbest COMMAND ...`: finds the command and hands over."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from keepbest.errors import did_you_mean
from keepbest.records.versions import installed_version
from keepbest.training.interruption import STATUS_OF, Interrupted, ended_by_signals

_USAGE = """\
keepbest: experiments that stop when they should, keep the best weights and can prove it.

usage: keepbest COMMAND ...

  train [OVERRIDES...] [-m]    a single experiment, or several with -m; `keepbest train --help` lists what to choose
  resume PATH [OVERRIDES...]   a run or a sweep, where it left off; overrides may change what decides a run's end
  evaluate PATH [OPTIONS]      the best checkpoint on val or test, or on other data, added to the record
  ls [PATH] [OPTIONS]          a table of runs and sweeps, newest first; filtered, sorted by score
  show PATH                    one run or sweep: summary, curve, what its config changes
  compare PATH PATH ...        runs side by side: where configs differ, and what came out
  replay PATH [OPTIONS]        what other stopping policies would have done on a run, a sweep or a CSV file
  report PATH [OPTIONS]        a page about a run or a sweep: one HTML file

  --help, --version
"""
_COMMANDS = ("train", "resume", "evaluate", "ls", "show", "compare", "replay", "report")
"""Each a module of this package, with a `main` that takes the arguments and returns the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default this process's; return its exit status."""
    is_process = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    with ended_by_signals() as signals:
        try:
            status = _run(arguments)
        except Interrupted as interruption:
            trains = list(arguments[:1]) in (["train"], ["resume"])
            words = str(interruption) if trains else f"interrupted by {interruption.signal_name}."
            sys.stderr.write(f"keepbest: {words}\n")
            status = interruption.exit_status
        except KeyboardInterrupt:  # raised by the user's code: Ctrl-C is an interruption
            status = STATUS_OF[signal.SIGINT]
        except Exception:  # of an import that a signal cut short
            if signals.received is None:
                raise
            sys.stderr.write(f"keepbest: interrupted by {signals.received.signal_name}.\n")
            status = signals.received.exit_status
    if status and signals.received:  # a failure that a signal brought about, or that came before it
        status = signals.received.exit_status
    if is_process:
        with suppress(OSError):
            sys.stdout.flush()
        for number in STATUS_OF:  # nothing is left to do, and what Python still tidies up has no say in the status
            signal.signal(number, lambda *_: os._exit(status))
    return status


def _run(arguments: Sequence[str]) -> int:
    command, *rest = arguments or ["--help"]
    if command in ("--help", "-h", "help"):
        sys.stdout.write(_USAGE)
        return 0
    if command == "--version":
        sys.stdout.write(f"keepbest {installed_version() or 'from source'}\n")
        return 0
    if command in _COMMANDS:
        return int(import_module(f"keepbest.cli.{command}").main(rest))
    sys.stderr.write(
        f"keepbest: there is no command {command!r}. {did_you_mean(command, _COMMANDS)} See keepbest --help.\n"
    )
    return 2
