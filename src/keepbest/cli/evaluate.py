"""`keepbest evaluate`: the best checkpoint of a run, evaluated again, and the result added to its record."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.cli.arguments import Arguments, run_reading
from keepbest.errors import ConfigError, IntegrityError, RecordError, printable
from keepbest.records.locations import for_people, recorded_directory
from keepbest.records.ownership import owned, require_free
from keepbest.records.run_record import Evaluation, RunRecord
from keepbest.records.store import SWEEP_FILE, add_evaluation, read_record
from keepbest.sweeping.members import is_shared, read_members
from keepbest.training.interruption import signals_held
from keepbest.training.launch import fits_one_process
from keepbest.training.workplace import workplace

if TYPE_CHECKING:
    from keepbest.reading.repeated_score import RepeatedScore
    from keepbest.reading.run import Run
    from keepbest.reading.trained_samples import TrainedSamples

_DESCRIPTION = """\
Evaluates the best checkpoint of a run again, on one device and with the run's own settings, prints the metrics, and
adds them to its record; what stands there stays. Of a sweep, the best job is evaluated. On the run's own validation
data the recorded score must come out again, or the status is 1: on the CPU bit for bit, elsewhere to a thousandth, or
as near as verification.tolerance of the run's config says.

Other data are prepared by their own data module: it decides which of its samples are the split, and standardises them
by its own statistics. So csv measures only data.val_fraction or data.test_fraction of a table (0.2), never all of it,
for it standardises by the other rows. How many samples were measured is printed, and how many of them were found among
those that the model was trained on. Where the run's own data can be read, other data must have the same classes and
the same feature columns, in their order.
"""
_EXAMPLES = """\
examples:
  keepbest evaluate outputs/latest
  keepbest evaluate outputs/sweeps/.../12 --split test
  keepbest evaluate outputs/latest --data csv data.path=new.csv data.target=kind data.test_fraction=0.5 --split test
"""
_IF_TRUSTED = "If you know who made the run and trust them, add --trust."


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
    """Evaluate, record and print, and tell then what is wrong with the result or kept it from being recorded."""
    from keepbest.reading.evaluation import Wanted
    from keepbest.reading.repeated_score import repeated_score

    modules = [name for name in options.modules.split(",") if name]
    is_trusted = bool(modules or options.trust)
    if is_trusted and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # the user's own modules lie there
    Wanted(options.split, None, options.device)  # a wrong split is told first
    run = _open(options.path, modules, trust=options.trust)
    with _held(run.directory) as unlockable:
        record = read_record(run.directory)  # one that was edited gets no seal
        _require_best(record, run.directory)
        own_data = options.data is None  # the paths of others are meant from here
        known: list[TrainedSamples] = []
        with workplace(run.directory, record.environment.cwd, moves=own_data, imports=is_trusted) as place:
            evaluation = run.evaluation(
                options.split,
                data=_data(options.data, record),
                device=options.device,
                own_place=place,
                tell=known.append,
            )
        trainer = run.config.get("trainer")
        counts_twice = isinstance(trainer, dict) and not fits_one_process(trainer)
        score = repeated_score(evaluation, record, run.config, counts_twice=counts_twice)
        evaluation = dataclasses.replace(evaluation, repeated=score.is_near if score else None)
        obstacle = unlockable or _add(run.directory, evaluation)
    facts = {**_facts(run, record, evaluation), **_comparisons(record, evaluation, known, score)}
    _show({**facts, "added to": _added_to(run.directory, is_added=obstacle is None)})
    if score is not None:
        score.require()
    if obstacle is not None:
        raise RecordError(
            "an evaluation is recorded in the run's run.json, which cannot be written: "
            f"{obstacle.strerror or obstacle}. Copy the run to where you may write, and evaluate it there."
        )


@contextmanager
def _held(run_dir: Path) -> Iterator[OSError | None]:
    """Hold the directory; where it cannot be written, as nobody else holds it, yield why."""
    obstacle = None
    with ExitStack() as stack:
        try:
            stack.enter_context(owned(run_dir))
        except OSError as error:  # somebody else's, or on a disk that only reads
            require_free(run_dir)
            obstacle = error
        yield obstacle


def _add(run_dir: Path, evaluation: Evaluation) -> OSError | None:
    """Add an evaluation to the record; return what kept it from being written."""
    try:
        with signals_held():
            add_evaluation(run_dir, evaluation)
    except OSError as error:  # a full disk
        return error
    return None


def _open(path: str, modules: list[str], *, trust: bool) -> Run:
    """Open the run of a path; of a sweep, the best."""
    from keepbest.reading.run import open_run
    from keepbest.reading.sweep import open_sweep

    directory = recorded_directory(path)
    _require_no_shared_training(directory)
    if not (directory / SWEEP_FILE).is_file():
        return open_run(directory, trust=trust, modules=modules)
    sweep = open_sweep(directory, trust=trust, modules=modules)
    best = sweep.best()
    sys.stdout.write(f"the best of {len(sweep)} jobs: {printable(str(best.directory.relative_to(sweep.directory)))}\n")
    return best


def _require_no_shared_training(directory: Path) -> None:
    """Refuse what several jobs of a sweep share: results belong to the jobs."""
    if not is_shared(directory):
        return
    members = [member.directory for member in read_members(directory.resolve()).all]
    remedy = f"Evaluate one of its jobs, such as {for_people(members[0])}" if members else None
    raise ConfigError(
        "a run that is evaluated must be a job, not the training that several jobs of a sweep share",
        received=str(directory),
        remedy=remedy,
    )


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


def _facts(run: Run, record: RunRecord, evaluation: Evaluation) -> dict[str, str]:
    """Return what was evaluated, on what, and the result."""
    from keepbest.reading.facts import best_of, data_of, metrics_of

    checkpoint = for_people(run.directory) / str(record.best_model_path)
    facts = {"checkpoint": f"{checkpoint}, {best_of(record)}"}
    if evaluation.data is not None:
        facts["data"] = data_of(evaluation, run.config.get("data"))
    return {**facts, evaluation.split: metrics_of(evaluation)}


def _comparisons(
    record: RunRecord, evaluation: Evaluation, known: list[TrainedSamples], score: RepeatedScore | None
) -> dict[str, str]:
    """Return what the samples and the score were compared with."""
    facts = {"shared": str(known[0])} if known else {}
    if score is not None:
        facts["recorded"] = str(score)
    elif evaluation.data is None and evaluation.split == "val":
        facts["recorded"] = f"nothing to compare: {record.objective.monitor} was not logged by the evaluation"
    return facts


def _added_to(run_dir: Path, *, is_added: bool) -> str:
    return str(for_people(run_dir) / "run.json") if is_added else "nothing: it cannot be written"


def _show(facts: dict[str, str]) -> None:
    for name, text in facts.items():
        sys.stdout.write(f"{name:<12}{printable(text)}\n")


@contextmanager
def _refusals_in_options() -> Iterator[None]:
    """Say with options of this command what allows what was refused."""
    from keepbest.composition.allowance import NotAllowed
    from keepbest.reading.run_files import IF_TRUSTED

    try:
        yield
    except NotAllowed as error:
        if error.modules is None:
            remedy = "If you trust whoever made the run with everything you can do: --trust"
        else:
            remedy = f"If you trust that code: --modules {','.join(error.modules)}; --trust allows everything"
        raise ConfigError(error.rule, key=error.key, received=error.received, remedy=remedy) from error
    except (RecordError, IntegrityError) as error:
        raise type(error)(str(error).replace(IF_TRUSTED, _IF_TRUSTED)) from error
