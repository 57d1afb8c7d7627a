"""`keepbest compare`: runs side by side, in whatever room there is."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from keepbest.checkpoints.hashing import sha256_of
from keepbest.cli.main import main as command_line
from keepbest.composition.resolved import write_config
from keepbest.reading.comparison import compared
from keepbest.records.run_record import Environment, Failure, Objective, RunRecord, RunStatus, Stopping, Timing
from keepbest.records.store import write_record
from keepbest.reports.comparison import show_comparison

HOSTILE = "[red]x\x1b[31m\x1b]0;evil\x07\u202e"


def write_run(directory: Path, score: float | None, lr: object = 0.1, **facts) -> str:
    directory.mkdir(parents=True)
    write_config(directory, {"model": {"optimizer": {"lr": lr}, "sizes": [1] * 40}, "seed": 1, "n": facts.pop("n", 1)})
    record = RunRecord(
        id=directory.name,
        status=RunStatus.COMPLETED,
        objective=Objective("val_loss", "min"),
        seed=1,
        environment=Environment(None, None, {}, ["keepbest train"], "host", "/"),
        config_sha256=sha256_of(directory / "config.yaml"),
        best_model_score=score,
        best_epoch=3,
        best_sha256=facts.pop("sha", "a" * 64),
        test={"test_loss": 0.25},
        stopping=Stopping({}, 8, 9, "patience_exhausted", None),
        timing=Timing(None, None, 1.5, 9),
    )
    write_record(directory, dataclasses.replace(record, **facts))
    return str(directory)


@pytest.fixture
def said(capsys):
    def run(status: int, *arguments: object) -> str:
        assert command_line(["compare", *map(str, arguments)]) == status
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert not set(said.out + said.err) & set("\x1b\x07\u202e")
        return said.out if status == 0 else said.err

    return run


def in_terminal(width: int, *runs: str) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False, force_terminal=True, color_system=None)
    show_comparison(compared(runs), console)
    return console.file.getvalue().splitlines()


def test_two_runs(tmp_path, said):
    one, other = write_run(tmp_path / "one", 0.5), write_run(tmp_path / "other", 0.25, lr=0.2)
    assert [line.rstrip() for line in said(0, one, other).splitlines()] == [
        f"A  {one}",
        f"B  {other}",
        "",
        "                    A                   B",
        "status              completed           completed",
        "score               0.5                 0.25 *",
        "best_epoch          3                   3",
        "stopped_epoch       8                   8",
        "reason              patience exhausted  patience exhausted",
        "epochs_trained      9                   9",
        "seconds             1.5                 1.5",
        "weights             aaaaaaaaaaaa        aaaaaaaaaaaa",
        "test_loss           0.25                0.25",
        "",
        "model.optimizer.lr  0.1                 0.2",
        "",
        "*  the best score",
        "A, B have the same weights, bit for bit",
    ]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_many_runs_are_a_row_each(tmp_path, width):
    runs = [write_run(tmp_path / str(i), 0.1 * (i + 1), lr=0.1 * i, sha=f"{i}" * 64) for i in range(6)]
    lines = in_terminal(width, *runs)
    table = lines[7 : 7 + 7]
    assert table[0].split()[:2] == ["status", "score"]
    assert "lr" in table[0].split()
    assert table[1].startswith("A  completed  0.1 *")
    assert max(map(len, table)) <= width


def test_a_narrow_terminal_turns_the_table(tmp_path):
    runs = [write_run(tmp_path / name, 0.5, lr=name * 30) for name in "xy"]
    assert in_terminal(140, *runs)[4].split() == ["status", "completed", "completed"]
    assert in_terminal(60, *runs)[4].startswith("A  completed")


def test_three_runs_show_all_with_short_names_where_whole_keys_have_no_room(tmp_path):
    runs = [write_run(tmp_path / str(i), 0.1 * (i + 1), lr=0.1 * i, n=i, sha=f"{i}" * 64) for i in range(3)]
    lines = in_terminal(76, *runs)
    names = [line.split()[0] for line in lines[5:] if line.strip()]
    assert [*names[:3], *names[8:11]] == ["status", "score", "best_epoch", "test_loss", "lr", "n"]
    assert "reason" in names
    assert max(map(len, lines[4:17])) <= 76


def test_the_objective_has_room_last(tmp_path):
    """What came out and what was set comes first, then tests and epochs."""
    runs = []
    for i in range(5):
        directory = tmp_path / str(i)
        write_run(directory, 0.1 * (i + 1), lr=0.1 * i, sha=f"{i}" * 64)
        (directory / ".hydra").mkdir()
        choices = f"      objective: {'of_a_long_name_' * 2}{i}\n"
        (directory / ".hydra" / "hydra.yaml").write_text(f"hydra:\n  runtime:\n    choices:\n{choices}")
        runs.append(str(directory))
    lines = in_terminal(70, *runs)
    assert lines[6].split() == ["status", "score", "best_epoch", "test_loss", "lr"]
    assert lines[12].startswith("no room for stopped_epoch, reason,")
    assert lines[12].endswith("objective; a pipe and --csv have all")


def test_why_a_run_failed_is_said(tmp_path, said):
    error = Failure("DataError", f"no column x{HOSTILE}\nand more", "")
    failed = write_run(tmp_path / "failed", None, status=RunStatus.FAILED, error=error, stopping=None)
    lines = said(0, failed, write_run(tmp_path / "good", 0.5)).splitlines()
    (line,) = (line for line in lines if line.startswith("A  failed: "))
    assert line.startswith("A  failed: DataError: no column x[red]x")
    assert lines.index(line) > lines.index(next(line for line in lines if line.startswith("status")))
    assert not any(line.startswith("B  completed:") for line in lines)


def test_different_objectives_are_said_and_not_ranked(tmp_path, said):
    other = {"objective": Objective("val_acc", "max")}
    text = said(0, write_run(tmp_path / "a", 0.5), write_run(tmp_path / "b", 0.9, **other))
    assert "scores of different objectives are not compared: val_loss (min), val_acc (max)" in text
    assert "*" not in text
    assert "the configs do not differ" in text


def test_a_file_has_all_of_it(tmp_path, said):
    runs = [write_run(tmp_path / "a", 0.5), write_run(tmp_path / "b", None, n=None)]
    said(0, *runs, "--csv", tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv", index_col="run")
    assert table.index.tolist() == runs
    assert table["n"].fillna(-1).tolist() == [1, -1]
    assert said(0, *runs, "--csv", "-") == (tmp_path / "out.csv").read_text()
    third = Path(write_run(tmp_path / "third", 0.5)) / "run.json"
    before = third.read_bytes()
    for target in (tmp_path / "a" / "out.csv", third):
        assert "must not lie in a run or a sweep" in said(2, *runs, "--csv", target)
    assert third.read_bytes() == before


def test_texts_of_other_people_are_shown_and_never_obeyed(tmp_path, said):
    facts = {"objective": Objective(HOSTILE, "min"), "test": {HOSTILE: 1.0}}
    one, other = (write_run(tmp_path / name, 0.5, lr=HOSTILE + name, **facts) for name in ("a", "b\x1b[31m"))
    assert "[red]x\\x1b[31m" in said(0, one, other)
    assert "\x1b" not in "\n".join(in_terminal(50, one, other))


def test_what_is_wrong_is_told(tmp_path, said):
    run = write_run(tmp_path / "a", 0.5)
    text = said(2, run)
    assert "at least two runs are compared" in text
    assert "Name another run or sweep to compare with." in text
    assert "usage: keepbest compare" in said(2)
    assert "cannot be called so" in said(2, run, run, "--wrong")
    assert "a run or sweep must be a directory with run.json" in said(2, run, tmp_path / "nowhere")
    assert "usage: keepbest compare" in said(0, "--help")
    (tmp_path / "a" / "run.json").write_text("{}")
    assert "must end with its checksum" in said(1, run, run)
