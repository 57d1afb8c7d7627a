"""`keepbest ls`: what a user types, sees, pipes, and is told when it cannot be."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from keepbest.cli.main import main as command_line
from keepbest.reading.catalogue import listed
from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus, Stopping, Timing
from keepbest.records.store import write_record, write_sweep
from keepbest.records.sweep_record import SweepJob, SweepRecord
from keepbest.reports.listing import show_listing

HOSTILE = "[red]x\x1b[31m\x1b]0;evil\x07\u202e"
ENVIRONMENT = Environment(None, None, {}, ["keepbest train", "model.width=4", "seed=1"], "host", "/")


def write_run(directory: Path, score: float | None = 0.5, **facts) -> None:
    directory.mkdir(parents=True)
    record = RunRecord(
        id=directory.name,
        status=RunStatus.COMPLETED,
        objective=Objective("val_loss", "min"),
        seed=1,
        environment=ENVIRONMENT,
        best_model_score=score,
        best_epoch=3,
        stopping=Stopping({}, 8, 9, "patience_exhausted", None),
        timing=Timing("2026-11-22T10:00:00+00:00", None, 1.0, 9),
    )
    write_record(directory, dataclasses.replace(record, **facts))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working directory with two runs, a sweep and a run that cannot be read."""
    monkeypatch.chdir(tmp_path)
    runs, sweep = tmp_path / "outputs" / "runs", tmp_path / "outputs" / "sweeps" / "2026-11-22_10-00-00_abc123"
    write_run(runs / "one", 0.5)
    write_run(runs / "two", 0.25)
    write_run(runs / "broken")
    (runs / "broken" / "run.json").write_text("{}")
    jobs = []
    for number in range(3):
        write_run(sweep / str(number), 0.1 * (number + 1))
        overrides = [f"callbacks.early_stopping.patience={number}", "seed=7"]
        jobs.append(SweepJob(number, str(number), overrides, "", None, None, RunStatus.COMPLETED))
    write_sweep(sweep, SweepRecord("abc123", ["-m"], ENVIRONMENT, jobs))
    return tmp_path


@pytest.fixture
def said(capsys):
    def ls(status: int, *arguments: object) -> str:
        assert command_line(["ls", *map(str, arguments)]) == status
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return said.out if status == 0 and said.out else said.err

    return ls


def in_terminal(width: int, **options) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False, force_terminal=True, color_system=None)
    rows = listed("outputs", **options)
    show_listing(rows, len(rows), console)
    return console.file.getvalue().splitlines()


def test_what_is_piped_is_whole_and_one_line_each(place, said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = said(0, "--sort", "score").splitlines()
    assert lines[0].split() == ["path", "kind", "status", "monitor", "score", "best_epoch", "stopped_epoch",
                                "reason", "epochs_trained", "started", "overrides", "varying", "problem"]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == [
        "outputs/sweeps/2026-11-22_10-00-00_abc123", "outputs/runs/two", "outputs/runs/one", "outputs/runs/broken",
    ]  # fmt: skip
    assert lines[1].split()[-2:] == ["patience=0", "patience"]
    assert "width=4 seed=1" in lines[2]
    assert "unreadable" in lines[4]
    assert "a record must end with its checksum" in lines[4]


@pytest.mark.parametrize("width", [80, 100, 180])
def test_a_terminal_has_room_for_what_matters(place, width):
    lines = in_terminal(width, jobs=True, sort="score")
    table = lines[: 1 + 6]
    assert max(map(len, table)) <= width
    assert table[1].startswith("outputs/sweeps/2026-11-22_10-00-00_abc123/0  ")
    assert "patience=0" in table[1]
    assert lines[-1].startswith("outputs/runs/broken: a record must end with its checksum")
    assert any(line.startswith("no room for ") for line in lines) is (width < 180)


@pytest.mark.parametrize("width", [40, 58, 63])
def test_a_narrow_terminal_shows_scores_and_the_ends_of_paths(place, width):
    lines = in_terminal(width, sort="score")
    assert lines[0].split()[:3] == ["path", "status", "score"]
    assert max(map(len, lines[:5])) <= width
    assert lines[1].split()[0].endswith("c123")
    assert lines[1].split()[0].startswith("..." if width < 60 else "outputs/")
    assert lines[1].split()[1:3] == ["completed", "0.1"]


def test_what_the_jobs_of_a_sweep_differ_in_is_shown(place):
    lines = in_terminal(100, where="kind=='sweep'")
    assert lines[0].split()[-2:] == ["overrides", "varying"]
    assert lines[1].split()[-2:] == ["patience=0", "patience"]


def test_conditions_and_limits(place, said):
    assert [
        line.split()[0] for line in said(0, "--jobs", "--where", "patience>=1 and score<0.25").splitlines()[1:]
    ] == ["outputs/sweeps/2026-11-22_10-00-00_abc123/1"]
    assert len(said(0, "--limit", "2").splitlines()) == 3
    assert "no row meets the condition in outputs" in said(0, "--where", "score>9")
    (place / "empty").mkdir()
    assert "there are no runs or sweeps in empty" in said(0, "empty")


def test_json_and_csv_have_all_of_it(place, said):
    rows = json.loads(said(0, "--json", "--sort", "name"))
    assert [row["name"] for row in rows] == ["runs/broken", "runs/one", "runs/two", "sweeps/2026-11-22_10-00-00_abc123"]
    assert rows[1]["overrides"] == {"model.width": "4", "seed": "1"}
    assert rows[1]["started"] == "2026-11-22T10:00:00+00:00"
    assert rows[0]["score"] is None
    assert said(0, "--csv", "out.csv", "--jobs").split() == ["table", "out.csv"]
    assert said(0, "--csv", "-", "--jobs") == Path("out.csv").read_text()
    assert not Path("-").exists()
    with Path("out.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 6
    assert {row["name"]: row["score"] for row in found}["runs/two"] == "0.25"


def test_texts_of_other_people_are_shown_and_never_obeyed(place, said):
    objective = Objective(HOSTILE, "min")
    environment = dataclasses.replace(ENVIRONMENT, argv=["keepbest train", f"a={HOSTILE}"])
    write_run(place / "outputs" / "runs" / f"b\x1b[31m{'[link=x]'}", objective=objective, environment=environment)
    for options in ((), ("--json",), ("--csv", "out.csv")):
        text = said(0, *options) if "--csv" not in options else said(0, *options) + Path("out.csv").read_text()
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "\x1b" not in "\n".join(in_terminal(140))


def test_csv_is_not_written_into_a_run(place, said):
    """Neither into one that is shown nor into another, nor into a sweep, however deep."""
    files = [path for path in place.rglob("*") if path.is_file()]
    before = [path.read_bytes() for path in files]
    sweep = "outputs/sweeps/2026-11-22_10-00-00_abc123"
    (place / "link").symlink_to(place / "outputs/runs/two/run.json")
    for target in ("outputs/runs/two/run.json", f"{sweep}/sweep.json", f"{sweep}/1/run.json", f"{sweep}/new/x.csv",
                   "outputs/runs/one/out.csv", "outputs/runs/broken/run.json", "link"):  # fmt: skip
        assert "must not lie in a run or a sweep" in said(2, "outputs", "--limit", "1", "--csv", target)
    assert [path.read_bytes() for path in files] == before


WRONG = {
    "a place": (["nowhere"], "runs are listed of a directory, got 'nowhere'"),
    "a condition": (["--where", "score="], "a condition must be one that Python could read"),
    "code": (["--where", "__import__('os').system('true')"], "there must not be"),
    "a name": (["--where", "scor>1"], "got 'scor'. Did you mean 'score'?"),
    "a name to sort by": (["--sort", "reson"], "Did you mean 'reason'?"),
    "a limit": (["--limit", "none"], "--limit must be a whole number of rows, at least 1, got 'none'"),
    "an option": (["--jbs"], "keepbest ls cannot be called so: unrecognized arguments: --jbs. See keepbest ls --help."),
    "both outputs": (["--json", "--csv", "x"], "not allowed with"),
    "a file": (["--csv", "/nowhere/out.csv"], "must be one that can be written"),
}


@pytest.mark.parametrize(("arguments", "text"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_status_2(place, said, arguments, text):
    assert text in said(2, *arguments)


def test_help(said):
    text = said(0, "--help")
    assert "usage: keepbest ls" in text
    assert "keepbest ls --where \"patience>=5 and status=='completed'\" --sort score" in text


def test_a_reader_may_leave_and_an_encoding_may_lack_characters(place):
    for number in range(300):
        write_run(place / "outputs" / "runs" / f"run_é_{number}_{'x' * 200}")
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = f"{sys.executable} -m keepbest ls; echo $? >&2"
    done = subprocess.run(["bash", "-c", f"({command}) | head -2"], capture_output=True, text=True, env=env, check=True)
    assert (done.stderr, len(done.stdout.splitlines())) == ("0\n", 2)
    done = subprocess.run([sys.executable, "-m", "keepbest", "ls"], capture_output=True, text=True, env=env, check=True)
    assert "run_\\xe9_299_" in done.stdout
