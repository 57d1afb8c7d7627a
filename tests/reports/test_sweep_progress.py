"""What the terminal shows while a sweep runs."""

import dataclasses
import io
import re
from pathlib import Path

from rich.console import Console

from keepbest.records.run_record import Environment, Failure, LastCheckpoint, Objective, RunRecord, RunStatus
from keepbest.reports.sweep_progress import SweepProgress, TrainingToShow

PENDING = RunRecord(
    id="s/0",
    status=RunStatus.PENDING,
    objective=Objective("val_loss", "min"),
    seed=1,
    environment=Environment(None, None, {}, [], "here", "/"),
)
RUNNING = dataclasses.replace(
    PENDING, status=RunStatus.RUNNING, best_model_score=0.25, last=LastCheckpoint("last.ckpt", "0", 1, epoch=4)
)
COMPLETED = dataclasses.replace(RUNNING, status=RunStatus.COMPLETED)
FAILED = dataclasses.replace(
    PENDING, status=RunStatus.FAILED, error=Failure("RuntimeError", "no \x1b[31mluck", "Traceback ...")
)
TRAININGS = [
    TrainingToShow("2 jobs (0, 1)", Path("s/trajectories/x/train.log"), 100),
    TrainingToShow("job 2", Path("s/2/train.log"), None),
    TrainingToShow("job 3", Path("s/3/train.log"), 100),
]


def shown(terminal: bool, *updates: tuple[int, RunRecord]) -> str:
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=100, highlight=False, _environ={"TERM": "xterm"}
    )
    progress = SweepProgress(TRAININGS, console)
    progress.start()
    for number, record in updates:
        progress.update(number, record)
    progress._bars.refresh()
    progress.stop()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())


def test_a_file_gets_a_line_for_each_training_that_ends_and_its_error_goes_to_standard_error(capsys):
    text = shown(False, (0, RUNNING), (0, RUNNING), (1, RUNNING), (0, COMPLETED), (1, FAILED))
    assert re.fullmatch(
        r"training 1 of 3, 2 jobs \(0, 1\): completed in 0\.\d s\ntraining 2 of 3, job 2: failed in 0\.\d s\n\n?", text
    )
    assert capsys.readouterr().err == (
        "keepbest: job 2: RuntimeError: no \\x1b[31mluck\nThe traceback is in s/2/train.log.\n"
    )


def test_a_training_that_fails_before_it_runs_took_no_time():
    assert "failed in 0.0 s" in shown(False, (0, FAILED))


def test_a_training_that_is_tried_again_is_told_again():
    assert shown(False, (0, RUNNING), (0, FAILED), (0, RUNNING), (0, FAILED)).count("failed in") == 2


def test_a_terminal_shows_how_far_the_sweep_and_each_training_is(capsys):
    text = shown(True, (0, RUNNING), (2, RUNNING), (2, FAILED))
    assert re.search(r"trainings +\S+ 1/3 +1 running, 1 failed, about 0 s left", text)
    assert re.search(r"2 jobs \(0, 1\) +\S+ +5/100 epochs, val_loss 0\.25 at best", text)
    assert "RuntimeError: no \\x1b[31mluck" in text
    assert capsys.readouterr().err == "", "it would run into the bars"
