"""`keepbest report`: a page about a run or a sweep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from keepbest.cli.arguments import Arguments, run_reading

_DESCRIPTION = """\
Write a page about a run or a sweep: one HTML file that opens from disk and needs no network. Of a run it shows the
curve, the stop, the best, its verification, the config and the environment; of a sweep the table of its jobs, heat
maps, curves, what other stopping policies would have done, and what failed. Nothing of the run is executed.
"""
_EXAMPLES = """\
examples:
  keepbest report outputs/latest
  keepbest report outputs/sweeps/... --output sweep.html --open
"""


def main(arguments: Sequence[str]) -> int:
    """Run `keepbest report ARGUMENTS`; return the exit status."""
    return run_reading(_arguments(), arguments, _report)


def _arguments() -> Arguments:
    parser = Arguments("report", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("path", type=Path, metavar="RUN|SWEEP", help="its directory")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to (default: report.html in the directory)")
    parser.add_argument("--open", action="store_true", help="show the page in a browser")
    return parser


def _report(options: argparse.Namespace) -> int:
    from keepbest.reading.run import open_run
    from keepbest.reading.sweep import open_sweep
    from keepbest.records.locations import lasting, recorded_directory
    from keepbest.records.store import SWEEP_FILE
    from keepbest.reports.page import page_of
    from keepbest.reports.page_file import page_path, write_page

    directory = lasting(recorded_directory(options.path))
    page = page_path(directory, options.output)
    opened = open_sweep(directory) if (directory / SWEEP_FILE).is_file() else open_run(directory)
    write_page(page, page_of(opened, directory, page))
    sys.stdout.write(f"report       {page}\n")
    if options.open:
        _show(page)
    return 0


def _show(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        sys.stdout.write("no browser was found: open the file in one\n")
