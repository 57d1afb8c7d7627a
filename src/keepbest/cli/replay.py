"""`keepbest replay`: what other stopping policies would have done on recorded histories."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from keepbest.cli.arguments import (
    Arguments,
    is_standard_output,
    require_outside_runs,
    run_reading,
    write_out,
    write_table,
)
from keepbest.errors import ConfigError, printable

if TYPE_CHECKING:
    from keepbest.reading.recorded_stopping import Recorded
    from keepbest.reading.replay import Replay

T = TypeVar("T", int, float)
_DESCRIPTION = """\
What other stopping policies would have done on recorded histories: the epochs that each would have trained, and its
regret, which is how much worse its best score is than that of the full history. Nothing is trained. Where the history
ended before a policy did, the policy is censored: nothing is said of it. Of a sweep, each distinct training that has a
finite best is one history; several say mean and worst case. Settings of early stopping that are not named are those of
the run. What is recommended are overrides, to be added to what the histories were trained with.

A CSV file needs a row of names and a column of the metric: Lightning's CSVLogger, TensorBoard's export and others.
An empty cell is no check. Without a column 'epoch', each check counts as an epoch.
"""
_EXAMPLES = """\
examples:
  keepbest replay outputs/latest --patience 1:50 --min-delta 0,1e-4,1e-3
  keepbest replay outputs/sweeps/... --patience 1:50:5 --max-regret 0.002 --plot front.png
  keepbest replay metrics.csv --monitor val_acc --mode max --patience 2,4,8,16
"""
_MOST_VALUES = 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Run `keepbest replay ARGUMENTS`; return the exit status."""
    return run_reading(_arguments(), arguments, _replay)


def _arguments() -> Arguments:
    parser = Arguments("replay", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("path", nargs="+", metavar="RUN|SWEEP|CSV", help="one or more; several give means over them")
    parser.add_argument("--patience", default="1:50", help="checks: 1:50 (50 included), 1:50:5, 2,4,8 (default 1:50)")
    parser.add_argument("--min-delta", default="0", help="in the metric's units: 0,1e-4,1e-3 (default 0)")
    parser.add_argument("--baseline", help="values that an improvement must beat, or 'none' (default the run's own)")
    parser.add_argument("--start-from-epoch", help="as --patience, in epochs from 0 (default the run's own)")
    parser.add_argument("--monitor", help="the metric; a run's own objective needs none")
    parser.add_argument("--mode", choices=("min", "max"), help="which is better; a run's own objective needs none")
    parser.add_argument("--max-regret", default="0", help="mean regret that the recommendation may have (default 0)")
    parser.add_argument("--csv", metavar="OUT", type=Path, help="write a row per policy; - prints them alone")
    parser.add_argument("--plot", metavar="OUT.png", type=Path, help="draw regret against epochs")
    return parser


def _replay(options: argparse.Namespace) -> int:
    from keepbest.reading.replay import replay
    from keepbest.reports.replay_table import show_replay

    allowed = _number("--max-regret", options.max_regret, float)
    _require_apart(options)
    result = replay(
        options.path,
        patience=_values("--patience", options.patience),
        min_delta=_listed("--min-delta", options.min_delta, float),
        baseline=_baselines(options.baseline),
        start_from_epoch=_starts(options.start_from_epoch),
        mode=options.mode,
        monitor=options.monitor,
    )
    result.recommend(allowed)  # refuses what is no regret before anything is printed
    if not is_standard_output(options.csv):
        show_replay(result, allowed)
    _write(result, allowed, options)
    return 0


def _require_apart(options: argparse.Namespace) -> None:
    """Refuse to write over a history, or into a run or a sweep."""
    if is_standard_output(options.plot):
        raise ConfigError("a picture must be written to a file", received="-", remedy="Write it as --plot front.png")
    if options.plot:
        _require_picture(options.plot)
    for out in filter(None, (options.csv, options.plot)):
        require_outside_runs(out)
        if not is_standard_output(out) and not out.parent.is_dir():
            raise ConfigError("what is written must lie in a directory that exists", received=str(out))
        if any(Path(path).exists() and out.exists() and out.samefile(path) for path in options.path):
            raise ConfigError("what is written must not be a history that is read", received=str(out))


def _require_picture(path: Path) -> None:
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().lstrip(".") not in kinds:
        raise ConfigError(
            f"a picture must end in one of {', '.join(f'.{kind}' for kind in sorted(kinds))}",
            received=str(path),
            remedy=f"Write it as --plot {path.with_suffix('.png').name}",
        )


def _write(result: Replay, allowed: float, options: argparse.Namespace) -> None:
    if options.csv:
        write_table(options.csv, lambda file: result.table().to_csv(file, index=False))
    if options.plot:
        write_out(options.plot, lambda: result.plot(options.plot, max_regret=allowed))
        if not is_standard_output(options.csv):
            sys.stdout.write(f"picture      {printable(str(options.plot))}\n")


def _values(option: str, text: str) -> list[int]:
    """Return whole numbers: each of a list, or from one to another, both included, and in steps."""
    if ":" not in text:
        return _listed(option, text, int)
    first, last, *steps = (_number(option, part, int) for part in text.split(":"))
    step = steps[0] if steps else 1
    if len(steps) > 1 or step < 1 or last < first or (last - first) // step >= _MOST_VALUES:
        raise ConfigError(
            f"{option} must be FIRST:LAST or FIRST:LAST:STEP, upwards and of at most {_MOST_VALUES} values",
            received=text,
        )
    return list(range(first, last + 1, step))


def _listed(option: str, text: str, kind: Callable[[str], T]) -> list[T]:
    return [_number(option, part, kind) for part in text.split(",")]


def _baselines(text: str | None) -> list[float | None] | Recorded:
    if text is None:
        return "recorded"
    return [None if part.strip().lower() == "none" else _number("--baseline", part, float) for part in text.split(",")]


def _starts(text: str | None) -> list[int] | Recorded:
    return "recorded" if text is None else _values("--start-from-epoch", text)


def _number(option: str, text: str, kind: Callable[[str], T]) -> T:
    try:
        return kind(text)
    except ValueError:
        noun = "whole numbers" if kind is int else "numbers"
        remedy = "Write a list as 2,4,8" + (", a range as 1:50" if kind is int else "")
        raise ConfigError(f"{option} must be given in {noun}", received=text, remedy=remedy) from None
