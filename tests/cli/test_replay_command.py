"""`keepbest replay`: what a user types, sees, and is told when it cannot be."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import keepbest as package
from keepbest.cli.main import main as command_line
from keepbest.cli.replay import main
from keepbest.reports.replay_table import show_replay

CSV = "epoch,val_loss,val_acc\n" + "".join(f"{i},{1 / (i + 1) + (i % 4) / 9},{i / 40}\n" for i in range(40))
Said = Callable[..., str]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "table.csv").write_text(CSV)
    return tmp_path / "table.csv"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """Replay, expect an exit status, and give all that was said."""
    monkeypatch.setenv("COLUMNS", "80")

    def replay(status: int, *arguments: object) -> str:
        assert main([str(argument) for argument in arguments]) == status
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return said.out + said.err

    return replay


def test_the_table_fits_the_terminal_and_ends_with_a_line_to_paste(table: Path, said: Said) -> None:
    text = said(0, table, "--monitor", "val_loss", "--mode", "min", "--min-delta", "0,1e-3,0.1", "--max-regret", "0.05")
    assert max(map(len, text.splitlines())) <= 110
    rows = [line for line in text.splitlines() if line[:1] in "* " and line.strip()[:1] in "*0123456789"]
    assert 10 < len(rows) <= 23
    assert "... and " in text
    assert "censored" in text
    assert "recommended  callbacks.early_stopping.patience=" in text
    assert "to be added to what the histories were trained with" in text


@pytest.mark.parametrize(("width", "settings"), [(40, set()), (60, {"min_delta"}), (120, None)])
def test_a_narrow_terminal_keeps_patience_epochs_and_regret(table: Path, width: int, settings: set[str] | None) -> None:
    found = package.replay(
        table, monitor="val_loss", mode="min", patience=range(1, 7), min_delta=[0, 0.001], baseline=[None, 0.5],
        start_from_epoch=[0, 2],
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=width, highlight=False, force_terminal=True, color_system=None)
    show_replay(found, 0.0, console)
    _, heads, *rows = console.file.getvalue().splitlines()
    assert {"patience", "epochs", "regret"} <= set(heads.split())
    assert max(map(len, [heads, *rows[:20]])) <= width
    left_out = next((line for line in rows if line.startswith("no room for ")), "no room for ; ")
    named = set(left_out.removeprefix("no room for ").partition(";")[0].split(", "))
    every = {
        "patience",
        "min_delta",
        "baseline",
        "start_from_epoch",
        "epochs",
        "saved",
        "best at",
        "val_loss",
        "regret",
    }
    shown = set(heads.replace("best at", "").split()) | ({"best at"} if "best at" in heads else set())
    assert shown | named - {""} == every
    assert not shown & named
    assert shown == every if settings is None else settings <= shown != every
    if settings is None:
        assert "none" in rows[0].split(), "what has no baseline says so"


def test_files_are_written(table: Path, said: Said, tmp_path: Path) -> None:
    outs = tmp_path / "out.csv", tmp_path / "out.png"
    text = said(0, table, "--monitor=val_acc", "--mode=max", "--patience=1:9:4", "--baseline=none,0.5",
                "--start-from-epoch=0,3", "--csv", outs[0], "--plot", outs[1])  # fmt: skip
    rows = pd.read_csv(outs[0])
    assert sorted(set(rows["patience"])) == [1, 5, 9]
    assert len(rows) == 3 * 2 * 2
    assert outs[1].read_bytes().startswith(b"\x89PNG")
    assert str(outs[0]) in text


def test_nothing_to_recommend_is_said_with_the_least_there_is(table: Path, said: Said) -> None:
    base = (table, "--monitor", "val_loss", "--mode", "min")
    assert "none: no policy has a mean regret of at most 0; the least is 0." in said(0, *base, "--patience", "1")
    assert "no policy's stop is known" in said(0, *base, "--patience", "99")


def test_why_nothing_is_recommended_is_the_true_cause(table: Path, said: Said, tmp_path: Path) -> None:
    diverged, late = tmp_path / "diverged.csv", tmp_path / "late.csv"
    diverged.write_text("epoch,val_loss\n0,nan\n")
    late.write_text("epoch,val_loss\n0,nan\n1,0.5\n")
    base = ("--monitor", "val_loss", "--mode", "min")
    assert "none: the history has no finite best val_loss, and so no policy a regret" in said(0, diverged, *base)
    assert "none: 1 of 2 histories have no finite best val_loss" in said(0, table, diverged, *base)
    assert "none: every policy whose stop is known ends before there is a score" in said(0, late, *base)


WRONG = {
    "no option": (["--patiense", "3"], "cannot be called so: unrecognized arguments"),
    "an abbreviation": (["--pat", "3"], "unrecognized arguments"),
    "a mode": (["--mode", "auto"], "invalid choice: 'auto'"),
    "words": (["--patience", "three"], "--patience must be given in whole numbers, got 'three'. Write a list as 2,4,8"),
    "a range of one side": (["--patience", "1:"], "--patience must be given in whole numbers"),
    "a range downwards": (["--patience", "9:1"], "FIRST:LAST:STEP, upwards"),
    "an endless range": (["--patience", "1:99999999999"], "at most 1000000 values"),
    "too many parts": (["--patience", "1:2:3:4"], "FIRST:LAST:STEP"),
    "negative": (["--patience=-1"], "patience must be a whole number of checks, at least 0, got -1"),
    "a negative delta": (["--min-delta=-1e-3"], "min_delta must not be negative, got -0.001"),
    "no delta": (["--min-delta", ""], "--min-delta must be given in numbers"),
    "no baseline": (["--baseline", "x"], "--baseline must be given in numbers"),
    "a regret": (["--max-regret", "x"], "--max-regret must be given in numbers"),
    "a negative regret": (["--max-regret=-1"], "max_regret must be a number, at least 0"),
    "a NaN": (["--max-regret=nan"], "max_regret must be a number, at least 0"),
    "a metric": (["--monitor", "val_los"], "Did you mean 'val_loss'?"),
    "a place": (["--csv", "/nowhere/at/all.csv"], "must lie in a directory that exists"),
    "a picture": (["--plot", "front.mp3"], "must end in one of"),
    "nothing to be found": (["nowhere.csv"], "a history must be a run, a sweep or a CSV file, got 'nowhere.csv'"),
}


@pytest.mark.parametrize(("options", "text"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_status_2(options: list[str], text: str, table: Path, said: Said) -> None:
    assert text in said(2, table, "--monitor", "val_loss", "--mode", "min", *options)


def test_a_history_is_not_written_over(table: Path, said: Said) -> None:
    text = said(2, table, "--monitor", "val_loss", "--mode", "min", "--csv", table)
    assert "must not be a history that is read" in text
    assert table.read_text() == CSV


def test_nothing_is_written_into_a_run_or_a_sweep(table: Path, said: Said, tmp_path: Path) -> None:
    for record in ("run.json", "sweep.json"):
        run = tmp_path / record.partition(".")[0]
        run.mkdir()
        (run / record).write_text("{}")
        for option, target in (
            ("--csv", run / record),
            ("--csv", run / "0" / "metrics.csv"),
            ("--plot", run / "x.png"),
        ):
            text = said(2, table, "--monitor=val_acc", "--mode=max", option, target)
            assert "must not lie in a run or a sweep" in text
        assert [path.name for path in run.iterdir()] == [record]
        assert (run / record).read_text() == "{}"


def test_a_table_is_printed_alone(table: Path, said: Said, tmp_path: Path) -> None:
    options = [table, "--monitor=val_acc", "--mode=max", "--patience=1:9:4", "--csv"]
    said(0, *options, tmp_path / "out.csv")
    assert said(0, *options, "-") == (tmp_path / "out.csv").read_text()
    assert said(0, *options, "-", "--plot", tmp_path / "out.png") == (tmp_path / "out.csv").read_text()
    assert "a picture must be written to a file" in said(2, *options[:-1], "--plot", "-")


def test_a_folder_with_a_table_is_told_from_a_run(table: Path, said: Said) -> None:
    table.rename(table.with_name("metrics.csv"))
    assert "Name the file: " in said(2, table.parent)


def test_names_that_a_terminal_or_a_picture_would_obey_are_shown(tmp_path: Path, said: Said) -> None:
    path = tmp_path / "$x[bold]\x1b[31m.csv"
    path.write_text("[red]$\\frac\x1b[31m" + "a" * 50 + "\n3\n2\n2.5\n2.5\n")
    text = said(0, path, "--mode", "min", "--patience", "1:2", "--plot", tmp_path / "front.png")
    assert "\x1b" not in text
    assert "[red]" in text


def test_a_direction_is_not_guessed(table: Path, said: Said) -> None:
    assert "mode must say which direction of val_loss is better" in said(2, table, "--monitor", "val_loss")


def test_help(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    assert "usage: keepbest replay" in said(0, "--help")
    assert "usage: keepbest replay" in said(2)
    assert command_line(["--help"]) == 0
    assert "replay PATH" in capsys.readouterr().out
    assert command_line(["replay", "nowhere"]) == 2


def test_the_replay_of_the_shared_training_is_what_the_members_of_the_sweep_got(
    keepbest: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Some stop, others reach max_epochs; what is kept depends on the checkpoint's own min_delta: two histories."""
    patience, min_delta = [1, 2, 3, 30], [0, 0.01, 0.05]
    done = keepbest(
        [
            "train", "-m", "trainer=cpu", "trainer.max_epochs=14", "model.hidden_sizes=[16]", "model.dropout=0.2",
            "model.optimizer.lr=0.02", "callbacks.model_checkpoint.min_delta=0,0.05", "hydra.sweep.dir=sweep",
            "callbacks.early_stopping.start_from_epoch=2",
            f"callbacks.early_stopping.patience={','.join(map(str, patience))}",
            f"callbacks.early_stopping.min_delta={','.join(map(str, min_delta))}",
        ],
        tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sweep = tmp_path / "sweep"
    replay = package.replay(sweep, patience=patience, min_delta=min_delta)
    assert len(replay.outcomes) == 2
    assert replay.kept == {"start_from_epoch": 2}, "which the jobs had, and the shared training has not"
    assert [key.partition("=")[0].rpartition(".")[2] for key in replay.recommend(9).overrides] == [
        "patience",
        "min_delta",
    ]
    found = {
        (one.trajectory.name, row.patience, row.min_delta): row
        for number, one in enumerate(replay.outcomes)
        for row in replay.table(number).itertuples()
    }
    reasons = set()
    for member in (path.parent for path in sweep.glob("[0-9]*/run.json")):
        record = json.loads((member / "run.json").read_text())
        policy, stopping = record["stopping"]["policy"], record["stopping"]
        shared = json.loads((member / record["trajectory"]["directory"] / "run.json").read_text())["id"]
        row = found.pop((shared, policy["patience"], policy["min_delta"]))
        assert row.reason == stopping["reason"]
        assert (None if pd.isna(row.stopped_epoch) else row.stopped_epoch) == stopping["stopped_epoch"]
        assert (row.checks, row.epochs) == (stopping["checks"], record["timing"]["epochs_trained"])
        assert (row.best_epoch, row.score) == (record["best_epoch"], record["best_model_score"])
        assert (row.policy_best_epoch, row.policy_best) == tuple(record["policy_best"].values())
        reasons.add(row.reason)
    assert found == {}
    assert reasons == {"patience_exhausted", "max_epochs"}
    scores = [one.score.min() for one in replay.outcomes]
    assert scores[0] != scores[1], "the two keep different checks"
    assert package.replay(sweep / "0", patience=1).objective.monitor == "val_loss"


_FOLLOWED = """
import json, sys
import keepbest

small = ["trainer=cpu", "trainer.max_epochs=16", "model.hidden_sizes=[16]", "model.optimizer.lr=0.02"]
common = [*small, "data=breast_cancer"]
early_stopping = {"start_from_epoch": 5, "patience": 8, "stopping_threshold": 0.9999, "divergence_threshold": 0.05}
late = ["objective=val_acc", *(f"callbacks.early_stopping.{name}={value}" for name, value in early_stopping.items())]
for own in (late, ["callbacks/early_stopping=off"]):
    run = keepbest.train([*common, *own])
    best = keepbest.replay(run, patience=[1, 2, 3], min_delta=[0, 0.05]).recommend(max_regret=9)
    followed = keepbest.train([*common, *own, *best.overrides])
    record = followed.record
    print("FOUND", json.dumps([best.epochs, record["timing"]["epochs_trained"], record["stopping"]["reason"],
          best.regret, abs(record["best_model_score"] - run.record["best_model_score"]), record["stopping"]["policy"]]))
"""


def test_a_training_with_what_is_recommended_is_what_was_foretold(tmp_path: Path) -> None:
    (tmp_path / "follow.py").write_text(_FOLLOWED)
    done = subprocess.run([sys.executable, "follow.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line.removeprefix("FOUND ")) for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    assert len(found) == 2
    for foretold, epochs, reason, regret, away, _ in found:
        assert (epochs, reason) == (foretold, "patience_exhausted")
        assert away == regret
        assert epochs < 16, "or it would have said nothing"
    assert [policy["start_from_epoch"] for *_, policy in found] == [5, 0]
