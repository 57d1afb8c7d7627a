"""What the terminal shows of a sweep: the plan, and a table that fits, the best job first."""

from __future__ import annotations

import dataclasses
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from keepbest.records.run_record import (
    Environment,
    Failure,
    Objective,
    RunRecord,
    RunStatus,
    Stopping,
    Timing,
)
from keepbest.records.sweep_record import SweepJob
from keepbest.reports.sweep import MOST_ROWS, TrainingOutline, show_plan, show_sweep

WIDTH = 80
SWEEP = Path("outputs/sweeps/2026-11-22_10-00-00_abc123")
HOSTILE = "[bold red]x[/]\x1b[31m\x07\r\n\u202eevil [link=http://x]"


def job(number: int, *overrides: str, directory: str | None = None) -> SweepJob:
    return SweepJob(number, directory or str(number), list(overrides), "", None, None, RunStatus.PENDING)


def record(score: float | None, status: RunStatus = RunStatus.COMPLETED, **facts: object) -> RunRecord:
    made = RunRecord(
        id="s/0",
        status=status,
        objective=Objective("val_loss", "min"),
        seed=1,
        environment=Environment(None, None, {}, [], "host", "/"),
        best_model_score=score,
        best_model_path=None if score is None else "checkpoints/best.ckpt",
        best_epoch=None if score is None else 7,
        stopping=Stopping({}, 12, 13, "patience_exhausted", None),
        timing=Timing(epochs_trained=13),
    )
    return dataclasses.replace(made, **facts)


def failed(error: str = "no", kind: str = "ValueError") -> RunRecord:
    return record(None, RunStatus.FAILED, error=Failure(kind, error, ""), stopping=None, timing=Timing())


def shown(
    jobs: Sequence[SweepJob],
    records: Mapping[int, RunRecord],
    epochs: int = 13,
    width: int = WIDTH,
    terminal: bool = False,
) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, force_terminal=terminal, color_system=None)
    show_sweep(SWEEP, {job.number: job for job in jobs}, records, epochs, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of the table's rows, without its head."""
    table = text.lstrip("\n").split("\nbest ")[0].split("\nepochs ")[0].splitlines()
    return [line.split() for line in table[1:]]


def test_the_whole_of_it():
    jobs = [
        job(number, f"callbacks.early_stopping.patience={patience}", f"callbacks.early_stopping.min_delta={delta}")
        for number, (patience, delta) in enumerate(itertools.product((2, 16), ("0", "1e-3")))
    ]
    records = {number: record(0.1 + number / 7) for number in range(3)} | {3: failed("it broke\nand more")}
    assert shown(jobs, records).splitlines() == [
        "",
        "job  patience  min_delta  val_loss  best at  stop at  end",
        "  0         2          0       0.1        7       12  patience exhausted",
        "  1         2       1e-3  0.242857        7       12  patience exhausted",
        "  2        16          0  0.385714        7       12  patience exhausted",
        "  3        16       1e-3                              failed",
        "best        job 0, outputs/sweeps/2026-11-22_10-00-00_abc123/0/checkpoints/best.ckpt",
        "epochs      13 trained, 39 if each job had trained on its own",
        "sweep       outputs/sweeps/2026-11-22_10-00-00_abc123",
        "            job 3 failed: ValueError: it broke",
    ]


@pytest.mark.parametrize(("mode", "order"), [("min", [1, 2, 0, 3]), ("max", [0, 2, 1, 3])])
def test_the_best_comes_first_in_both_modes_and_ties_by_number(mode, order):
    scores = [0.9, 0.1, 0.5, 0.5]
    objective = Objective("val_x", mode)
    records = {number: record(score, objective=objective) for number, score in enumerate(scores)}
    order = [number for number in order if number != 3]
    order.insert(order.index(2) + 1, 3)
    text = shown([job(number, f"seed={number}") for number in range(4)], records)
    assert [int(row[0]) for row in rows_of(text)] == order
    assert f"\nbest        job {order[0]}, " in text


def test_only_a_completed_job_can_be_the_best():
    """What failed in the end may have had the best score before."""
    records = {
        0: record(0.1, RunStatus.FAILED, error=Failure("VerificationError", "no", "")),
        1: record(0.2, RunStatus.DIVERGED),
        2: record(0.3),
        3: record(None, RunStatus.INTERRUPTED, stopping=None),
    }
    text = shown([job(number, f"seed={number}") for number in range(4)], records)
    assert [int(row[0]) for row in rows_of(text)] == [2, 0, 1, 3]
    assert "\nbest        job 2, " in text
    assert "failed: patience exhausted" in text
    assert "diverged: patience exhausted" in text


def test_without_a_completed_job_there_is_no_best():
    text = shown([job(0), job(1)], {0: failed(), 1: failed()})
    assert "best " not in text.replace("best at", "")
    assert "epochs      13 trained\n" in text


def test_several_objectives_have_a_best_each():
    accuracy = Objective("val_acc", "max")
    records = {0: record(0.5), 1: record(0.97, objective=accuracy), 2: record(0.4), 3: record(0.98, objective=accuracy)}
    jobs = [job(number, f"objective={'val_acc' if number % 2 else 'val_loss'}") for number in range(4)]
    text = shown(jobs, records)
    assert text.splitlines()[1].split()[:3] == ["job", "objective", "score"]
    assert [int(row[0]) for row in rows_of(text)] == [2, 0, 3, 1]
    assert "best val_loss" in text
    assert "best val_acc" in text


USUAL_GRIDS = {
    "patience, min_delta, seed": {
        "callbacks.early_stopping.patience": ["2", "128"],
        "callbacks.early_stopping.min_delta": ["0", "1.0e-04"],
        "seed": ["1", "100000"],
    },
    "model, rate, seed": {"model": ["mlp", "regressor"], "model.optimizer.lr": ["0.0001", "0.1"], "seed": ["1", "2"]},
    "choices": {"callbacks/early_stopping": ["simple", "complex", "off"], "model/scheduler": ["plateau", "onecycle"]},
    "an experiment": {"experiment": ["diabetes_regression", "digits_cnn"], "seed": ["1", "2"]},
}


@pytest.mark.parametrize("grid", USUAL_GRIDS.values(), ids=USUAL_GRIDS)
def test_a_usual_grid_fits_eighty_columns_and_loses_nothing(grid):
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    jobs = [job(n, *(f"{key}={value}" for key, value in point.items())) for n, point in enumerate(points)]
    text = shown(jobs, {each.number: record(0.123456) for each in jobs}, terminal=True)
    lines = text.split("\nbest ")[0].splitlines()
    assert max(map(len, lines)) <= WIDTH
    for point, line in zip(points, lines[2:], strict=True):
        assert line.split()[1 : 1 + len(point)] == list(point.values())
        assert line.split()[1 + len(point) :] == ["0.123456", "7", "12", "patience", "exhausted"]


def test_a_wide_grid_loses_overrides_by_name_but_not_results():
    keys = [f"data.augmentation_{letter}" for letter in "abcdefghijkl"]
    jobs = [job(n, *(f"{key}={n}.123456789" for key in keys)) for n in range(3)]
    lines = shown(jobs, {n: record(0.123456) for n in range(3)}, terminal=True).split("\nbest ")[0].splitlines()
    assert max(map(len, lines[:-1])) <= WIDTH
    assert len(lines) == 6, "no row takes more than one line"
    for number, line in enumerate(lines[2:5]):
        assert line.split() == [str(number), *[f"{number}.123456789"] * 3, "0.123456", "patience", "exhau..."]
    left_out = ", ".join(f"augmentation_{letter}" for letter in "defghijkl")
    assert lines[-1] == f"no room for {left_out}, best at, stop at; a pipe has all"
    piped = shown(jobs, {n: record(0.123456) for n in range(3)}).splitlines()
    assert piped[2].split() == ["0", *["0.123456789"] * 12, "0.123456", "7", "12", "patience", "exhausted"]


@pytest.mark.parametrize("width", [20, 30, 40, 60])
def test_the_number_of_a_job_always_has_room(width):
    jobs = [job(n, "model.optimizer.lr=1e-3", f"seed={n}", f"model={'cnn' * n}") for n in range(12)]
    lines = shown(jobs, {n: record(0.123456 + n) for n in range(12)}, width=width, terminal=True).splitlines()
    assert [line.split()[0] for line in lines[1:14]] == ["job", *map(str, range(12))]
    assert lines[1].split()[1:] != []
    assert max(map(len, lines[1:14])) <= width
    assert lines[14].startswith("no room for ")


def test_long_values_are_cut_in_a_terminal_and_nowhere_else():
    jobs = [job(0, f"data.path={'x' * 100}"), job(1, "data.path=y")]
    text = shown(jobs, {0: record(0.5), 1: record(0.6)}, terminal=True)
    assert f" {'x' * 21}... " in text
    assert "x" * 22 not in text
    assert f" {'x' * 100} " in shown(jobs, {0: record(0.5), 1: record(0.6)}, width=40)


def test_equal_ends_of_keys_are_told_apart():
    jobs = [job(n, f"model.lr={n}", f"data.lr={n}", f"model/optimizer={n}", f"+trainer.x={n}") for n in range(2)]
    assert shown(jobs, {0: record(0.5), 1: record(0.6)}, width=120).splitlines()[1].split()[1:5] == [
        "model.lr", "data.lr", "optimizer", "x",
    ]  # fmt: skip


def test_a_value_may_hold_an_equals_sign():
    text = shown([job(0, "a={b=c}"), job(1, "a=d=e")], {0: record(0.5), 1: record(0.6)})
    assert [row[1] for row in rows_of(text)] == ["{b=c}", "d=e"]


def test_a_large_sweep_shows_its_best_and_what_failed():
    records: dict[int, RunRecord] = {number: record(number / 100) for number in range(100)}
    records |= {number: failed() for number in (40, 41, 99)}
    text = shown([job(number, f"seed={number}") for number in range(100)], records)
    assert [int(row[0]) for row in rows_of(text) if row[0] != "..."] == [*range(17), 40, 41, 99]
    assert "... and 80 more" in text
    assert "jobs 40-41, 99 failed: ValueError: no" in text


def test_a_sweep_that_has_room_is_shown_whole():
    records = {number: record(number / 10) for number in range(MOST_ROWS)}
    records[3] = failed()
    text = shown([job(number, f"seed={number}") for number in range(MOST_ROWS)], records)
    assert len(rows_of(text)) == MOST_ROWS
    assert "more" not in text


def test_never_more_rows_than_promised():
    records = {number: failed(f"error {number % 2}") for number in range(500)}
    text = shown([job(number, f"seed={number}") for number in range(500)], records)
    assert len([row for row in rows_of(text) if row[0].isdigit()]) == MOST_ROWS
    assert len(text.splitlines()) < MOST_ROWS + 10, "the same error is told once"


def test_errors_are_listed_with_their_jobs():
    errors = {0: failed("a\nb", "TypeError"), 1: failed("a\nc", "TypeError"), 2: failed(""), 3: failed("x" * 1000)}
    interrupted = record(0.2, RunStatus.INTERRUPTED, error=Failure("Interrupted", "SIGTERM came", ""))
    lines = shown([job(number) for number in range(5)], {**errors, 4: interrupted}).splitlines()
    assert all(line.startswith(" " * 12) for line in lines if "rror: " in line)
    lines = [line.strip(" ") for line in lines]
    assert "jobs 0-1 failed: TypeError: a" in lines
    assert "job 2 failed: ValueError:" in lines
    assert f"job 3 failed: ValueError: {'x' * 100}" in "\n".join(lines)
    assert max(len(line) for line in lines) < 330
    assert "job 4 interrupted: Interrupted: SIGTERM came" in lines


def test_nothing_to_show_is_no_error():
    assert "epochs      0 trained" in shown([], {}, epochs=0)


def obeyed(text: str) -> bool:
    """Return whether a terminal would obey anything in a text but its line breaks."""
    return not all(line.isprintable() for line in text.split("\n"))


def test_hostile_text_is_shown_and_not_obeyed():
    """As markup, it would be styled, or an error; as control characters, it would change the terminal."""
    jobs = [job(0, f"{HOSTILE}={HOSTILE}", f"a={HOSTILE}", directory=HOSTILE), job(1, "a=[/]", f"{HOSTILE}=2")]
    monitored = Objective(HOSTILE, "min")
    error = Failure(HOSTILE, HOSTILE, HOSTILE)
    stopping = Stopping({}, 1, 1, HOSTILE, HOSTILE)
    records = {
        0: record(0.1, objective=monitored, stopping=stopping, best_model_path=HOSTILE),
        1: record(None, RunStatus.FAILED, objective=monitored, error=error),
    }
    console = Console(file=io.StringIO(), width=400, highlight=False, force_terminal=False)
    show_sweep(Path(HOSTILE), {each.number: each for each in jobs}, records, 1, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert not obeyed(text)
    assert "[bold red]x[/]\\x1b[31m\\x07\\r\\n\\u202eevil [link=http://x]" in text.splitlines()[1], "a cell"
    assert "[bold red]x[/]\\x1b[31m\\x07\\r\\n\\u202eevil [link=http://x]" in text, "a line"
    assert "[/]" in text


@given(texts=st.lists(st.text(max_size=40), min_size=6, max_size=6))
def test_any_text_can_be_shown(texts):
    key, value, directory, kind, message, monitor = texts
    records = {
        0: record(0.1, objective=Objective(monitor, "max")),
        1: record(None, RunStatus.FAILED, objective=Objective(monitor, "max"), error=Failure(kind, message, "")),
    }
    text = shown([job(0, f"{key}={value}", directory=directory), job(1, f"a={value}")], records)
    assert not obeyed(text)


def planned(jobs: int, trainings: Sequence[TrainingOutline], *, whole: bool = False, sweep: Path = SWEEP) -> list[str]:
    console = Console(file=io.StringIO(), width=WIDTH, highlight=False, force_terminal=False)
    show_plan(sweep, jobs, trainings, console, whole=whole)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_plan_counts_jobs_trainings_and_the_epochs_at_stake():
    outlines = [TrainingOutline(range(16), 100, None), TrainingOutline([16], 100, "it has no seed")]
    assert planned(17, outlines) == [
        f"17 jobs, 2 trainings of at most 200 epochs instead of 1700, in {SWEEP}",
        "  job 16 on its own: it has no seed",
    ]
    assert planned(20, outlines, whole=True) == [
        f"20 jobs, 3 with their results, 2 trainings of at most 200 epochs instead of 1700, in {SWEEP}",
        "  jobs 0-15, at most 100 epochs",
        "  job 16, at most 100 epochs",
        "  job 16 on its own: it has no seed",
    ]


PLANS = {
    "one job": (1, [TrainingOutline([0], 1, None)], f"1 job, 1 training of at most 1 epoch, in {SWEEP}"),
    "without a limit": (2, [TrainingOutline([0, 1], None, None)], f"2 jobs, 1 training in {SWEEP}"),
    "one without a limit": (
        2, [TrainingOutline([0], 5, None), TrainingOutline([1], None, None)], f"2 jobs, 2 trainings in {SWEEP}"),
    "nothing left": (4, [], f"4 jobs, 4 with their results, 0 trainings in {SWEEP}"),
}  # fmt: skip


@pytest.mark.parametrize(("jobs", "trainings", "line"), PLANS.values(), ids=PLANS)
def test_a_plan_in_one_line(jobs, trainings, line):
    assert planned(jobs, trainings) == [line]


def test_jobs_of_one_reason_are_listed_together():
    outlines = [TrainingOutline([number], 5, "a" if number % 3 else "b") for number in range(7)]
    assert planned(7, outlines)[1:] == ["  jobs 0, 3, 6 on their own: b", "  jobs 1-2, 4-5 on their own: a"]


def test_a_hostile_plan_is_shown_and_not_obeyed():
    lines = planned(1, [TrainingOutline([0], 1, HOSTILE)], sweep=Path(HOSTILE))
    assert not obeyed("\n".join(lines))
    assert lines[1] == "  job 0 on its own: [bold red]x[/]\\x1b[31m\\x07\\r\\n\\u202eevil [link=http://x]"
