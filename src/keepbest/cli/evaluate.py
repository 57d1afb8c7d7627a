"""`keepbest evaluate`: the best checkpoint of a run, evaluated again, and the result added to its record."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.cli.arguments import Arguments, run_reading
from keepbest.cli.sweep import for_people
from keepbest.errors import ConfigError, printable
from keepbest.records.locations import run_directory
from keepbest.records.ownership import owned
from keepbest.records.run_record import Evaluation, RunRecord
from keepbest.records.store import SWEEP_FILE, add_evaluation, read_record
from keepbest.training.interruption import signals_held
from keepbest.training.launch import fits_one_process
from keepbest.training.workplace import workplace

if TYPE_CHECKING:
    from keepbest.reading.run import Run

_DESCRIPTION = """\
Evaluates the best checkpoint of a run again, on one device and with the run's own settings, prints the metrics, and
adds them to its record; what stands there stays. Of a sweep, the best job is evaluated. On the run's own validation
data the recorded score must come out again: on the CPU bit for bit. Other data are prepared by their own data module:
they are standardised by their own statistics.
"""
_EXAMPLES = """\
examples:
  keepbest evaluate outputs/latest
  keepbest evaluate outputs/sweeps/.../12 --split test
  keepbest evaluate outputs/latest --data csv data.path=new.csv data.target=kind --split test
"""


def main(arguments: Sequence[str]) -> int:
    """Run `keepbest evaluate ARGUMENTS`; return the exit status."""
    return run_reading(_arguments(), arguments, _evaluate)


def _arguments() -> Arguments:
    parser = Arguments("evaluate", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("path", metavar="RUN|SWEEP", help="a directory, or a file right inside it")
    parser.add_argument("--split", default="val", help="val or test (default val)")
    parser.add_argument(
        "--data",
        nargs="+",
        metavar=("OPTION", "data.KEY=VALUE"),
        help="other data: an option of the group data, with overrides, as for keepbest train",
    )
    parser.add_argument("--device", default="auto", help="auto (that of the run's trainer), cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--modules",
        default="",
        metavar="A,B",
        help="modules of yours whose classes the run may name; they are imported",
    )
    parser.add_argument("--trust", action="store_true", help="do whatever the run's config says")
    return parser


def _evaluate(options: argparse.Namespace) -> int:
    with _refusals_in_options():
        _evaluate_and_record(options)
    return 0


def _evaluate_and_record(options: argparse.Namespace) -> None:
    from keepbest.reading.evaluation import Wanted

    modules = [name for name in options.modules.split(",") if name]
    is_trusted = bool(modules or options.trust)
    if is_trusted and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # the user's own modules lie there
    Wanted(options.split, None, options.device)  # a wrong split is told first
    run = _open(options.path, modules, trust=options.trust)
    with owned(run.directory):
        record = read_record(run.directory)  # one that was edited gets no seal
        _require_best(record, run.directory)
        own_data = options.data is None  # the paths of others are meant from here
        with workplace(run.directory, record.environment.cwd, moves=own_data, imports=is_trusted):
            evaluation = run.evaluation(options.split, data=_data(options.data, record), device=options.device)
        with signals_held():
            add_evaluation(run.directory, evaluation)
    _show(run.directory, record, evaluation, run.config.get("trainer"))


def _open(path: str, modules: list[str], *, trust: bool) -> Run:
    """Open the run of a path; of a sweep, the best."""
    from keepbest.reading.run import open_run
    from keepbest.reading.sweep import open_sweep

    directory = run_directory(path)
    if not directory.is_dir():
        raise ConfigError("a run is a directory, or a file in it", received=path)
    if not (directory / SWEEP_FILE).is_file():
        return open_run(directory, trust=trust, modules=modules)
    sweep = open_sweep(directory, trust=trust, modules=modules)
    best = sweep.best()
    sys.stdout.write(f"the best of {len(sweep)} jobs: {printable(str(best.directory.relative_to(sweep.directory)))}\n")
    return best


def _require_best(record: RunRecord, run_dir: Path) -> None:
    if record.best_model_path is None:
        raise ConfigError(
            f"a run that is evaluated must have a best checkpoint; this one is {record.status.value}, and has none",
            received=str(run_dir),
        )


def _data(words: Sequence[str] | None, record: RunRecord) -> dict[str, Any] | None:
    if words is None:
        return None
    from keepbest.composition.other_data import compose_data

    return compose_data(words, record.seed)


def _show(run_dir: Path, record: RunRecord, evaluation: Evaluation, trainer: object) -> None:
    rows = {"checkpoint": f"{for_people(run_dir) / str(record.best_model_path)}, {_best(record)}"}
    if evaluation.data is not None:
        rows["data"] = str(evaluation.data.get("_target_"))
    rows[evaluation.split] = "  ".join(f"{name} {value:.6g}" for name, value in evaluation.metrics.items()) or "nothing"
    if evaluation.data is None and evaluation.split == "val":
        rows["recorded"] = _comparison(record, evaluation, trainer)
    rows["added to"] = str(for_people(run_dir) / "run.json")
    for name, text in rows.items():
        sys.stdout.write(f"{name:<12}{printable(text)}\n")


def _best(record: RunRecord) -> str:
    from keepbest.reading.facts import best_of

    return best_of(record)


def _comparison(record: RunRecord, evaluation: Evaluation, trainer: object) -> str:
    """Say whether the recorded score came out again."""
    monitor, recorded = record.objective.monitor, record.best_model_score
    measured = evaluation.metrics.get(monitor)
    if measured is None or recorded is None:
        return f"nothing to compare: {monitor} was not logged by the evaluation"
    if measured == recorded:
        return "yes, the same score bit for bit"
    several = isinstance(trainer, dict) and not fits_one_process(trainer)
    why = "; it was trained in several processes, which count some samples twice" if several else ""
    return f"no: {monitor} was {recorded!r}, is {measured!r}, {abs(measured - recorded):.2g} from it{why}"


@contextmanager
def _refusals_in_options() -> Iterator[None]:
    """Say with options of this command what allows what was refused."""
    from keepbest.composition.allowance import NotAllowed

    try:
        yield
    except NotAllowed as error:
        if error.modules is None:
            remedy = "If you trust whoever made the run with everything you can do: --trust"
        else:
            remedy = f"If you trust that code: --modules {','.join(error.modules)}; --trust allows everything"
        raise ConfigError(error.rule, key=error.key, received=error.received, remedy=remedy) from error
