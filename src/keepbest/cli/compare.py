"""`keepbest compare`: runs side by side."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from keepbest.cli.arguments import Arguments, run_reading, write_table

_DESCRIPTION = """\
Runs side by side: the settings in which their configs differ, and what came out, the best score marked. A sweep stands
for its best run. Scores of different objectives are not compared. Nothing is executed.
"""
_EXAMPLES = """\
examples:
  keepbest compare outputs/runs/... outputs/runs/...
  keepbest compare outputs/sweeps/.../0 outputs/sweeps/.../12
  keepbest compare outputs/sweeps/... outputs/sweeps/... --csv comparison.csv
"""


def main(arguments: Sequence[str]) -> int:
    """Run `keepbest compare ARGUMENTS`; return the exit status."""
    parser = Arguments("compare", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("path", nargs="+", metavar="RUN|SWEEP", help="two or more directories")
    parser.add_argument("--csv", metavar="OUT", type=Path, help="write the table, a row for each run; - prints it")
    return run_reading(parser, arguments, _compare)


def _compare(options: argparse.Namespace) -> int:
    from keepbest.reading.comparison import compare, compared

    if options.csv:
        write_table(options.csv, compare(options.path).to_csv)
        return 0
    from keepbest.reports.comparison import show_comparison

    show_comparison(compared(options.path))
    return 0
