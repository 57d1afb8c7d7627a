"""`keepbest show`: one run or one sweep, in the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from keepbest.cli.arguments import Arguments, run_reading

_DESCRIPTION = """\
A run: how it ended, its curve, what its config changes, what it ran on, how to open it. A sweep: its jobs, the best
first, and what failed. Nothing is executed or written.
"""
_EXAMPLES = """\
examples:
  keepbest show outputs/latest
  keepbest show outputs/sweeps/...
  keepbest show outputs/sweeps/.../3 --traceback
"""


def main(arguments: Sequence[str]) -> int:
    """Run `keepbest show ARGUMENTS`; return the exit status."""
    parser = Arguments("show", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("path", metavar="RUN|SWEEP", help="its directory, or a file right inside it")
    parser.add_argument("--traceback", action="store_true", help="print that of an error")
    return run_reading(parser, arguments, _show)


def _show(options: argparse.Namespace) -> int:
    from keepbest.reading.sweep_contents import contents_of
    from keepbest.records.locations import lasting, recorded_directory
    from keepbest.records.store import SWEEP_FILE

    shown = lasting(recorded_directory(options.path))
    directory = shown.resolve()
    if (directory / SWEEP_FILE).exists():
        from keepbest.reports.sweep_view import show_sweep_view

        show_sweep_view(contents_of(directory), shown, traceback=options.traceback)
        return 0
    from keepbest.reading.run import Run
    from keepbest.reports.run_view import show_run

    show_run(Run(directory), shown, traceback=options.traceback)
    return 0
