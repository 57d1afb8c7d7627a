"""`keepbest ls`: a table of runs and sweeps."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from keepbest.cli.arguments import Arguments, run_reading, write_table
from keepbest.errors import ConfigError, printable
from keepbest.records.locations import OUTPUTS

if TYPE_CHECKING:
    from keepbest.reading.listed_run import ListedRun

_DESCRIPTION = """\
The runs and sweeps under a directory, the newest first; in that of a sweep, its jobs. A sweep has the results and the
overrides of its best job; varying names what its jobs differ in. Links to directories are followed right below PATH
and one level deeper. Nothing is executed or written.
"""
_EXAMPLES = """\
conditions (--where) compare a column or a setting: with ==, !=, <, <=, >, >=, in, not in, is null, is not null, and,
or, not. A setting is its dotted key or the end of it (model.optimizer.lr, lr), which is early stopping's where it has
such a one (patience); a group is compared with its option: model=='cnn', model/optimizer=='sgd'. A comparison with
what a run lacks is false. A time is local, and compared as far as it is written: started=='2026-11-22'. The status of a
sweep is that of any of its jobs: == and in ask whether a job has it, != and not in whether none has. Columns: name,
kind, status, monitor, mode, score, best_epoch, stopped_epoch (or stop_epoch), reason, epochs_trained (or epochs),
started, overrides, varying, path, problem.

examples:
  keepbest ls
  keepbest ls --where "patience>=5 and status=='completed'" --sort score
  keepbest ls --jobs --where "model=='cnn' and model.optimizer.lr<1e-2" --sort epochs --limit 10
  keepbest ls outputs/sweeps/... --sort score
  keepbest ls --where "started>='2026-11-20' and status in ['failed', 'diverged']" --json
"""


def main(arguments: Sequence[str]) -> int:
    """Run `keepbest ls ARGUMENTS`; return the exit status."""
    return run_reading(_arguments(), arguments, _list, needs_arguments=False)


def _arguments() -> Arguments:
    parser = Arguments("ls", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("path", nargs="?", default=OUTPUTS, metavar="PATH", help=f"a directory (default {OUTPUTS})")
    parser.add_argument("--where", metavar="CONDITION", help="show only the rows that meet it")
    parser.add_argument("--sort", metavar="COLUMN", help="a column or setting, smallest first; score: the best first")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("--limit", metavar="N", help="show at most N rows")
    parser.add_argument("--jobs", action="store_true", help="the jobs of sweeps instead of the sweeps")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--csv", metavar="OUT", type=Path, help="write the table, all of it; - prints it")
    output.add_argument("--json", action="store_true", help="print the table as JSON, a list of rows")
    return parser


def _list(options: argparse.Namespace) -> int:
    from keepbest.reading.catalogue import listed

    limit = _limit(options.limit)
    found = listed(options.path, where=options.where, sort=options.sort, reverse=options.reverse, jobs=options.jobs)
    rows = found[:limit]
    if options.json:
        sys.stdout.write(json.dumps([_plain(row) for row in rows], indent=2) + "\n")
    elif options.csv:
        write_table(options.csv, lambda file: _write_csv(rows, file))
    elif rows:
        from keepbest.reports.listing import show_listing

        show_listing(rows, len(found))
    else:
        which = "no row meets the condition" if options.where else "there are no runs or sweeps"
        sys.stderr.write(f"{which} in {printable(options.path)}\n")
    return 0


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text[:18]) < 1:
        raise ConfigError("--limit must be a whole number of rows, at least 1", received=text)
    return int(text[:18])


def _plain(row: ListedRun) -> dict[str, Any]:
    """Return a row as JSON can hold it; numbers that JSON lacks become texts, as in a record."""
    from keepbest.reading.listed_run import COLUMNS
    from keepbest.records.plain_data import plain

    values: dict[str, Any] = {name: plain(row.value(name)) for name in COLUMNS}
    values["started"] = _started(row)
    values["overrides"] = dict(row.overrides)
    return values


def _write_csv(rows: Sequence[ListedRun], file: TextIO) -> None:
    from keepbest.reading.listed_run import COLUMNS

    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = {name: row.value(name) for name in COLUMNS}
        values["started"] = _started(row)
        writer.writerow([printable(value) if isinstance(value, str) else value for value in values.values()])


def _started(row: ListedRun) -> str | None:
    """Return when a run began, in the time zone of this machine and with it."""
    return row.started.astimezone().isoformat() if row.started else None
