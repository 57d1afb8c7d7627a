"""`keepbest resume`: what it takes for a run, and what it says of one that cannot go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from keepbest.cli.resume import main
from keepbest.records.run_record import LastCheckpoint, RunStatus
from keepbest.records.store import read_record, write_record
from keepbest.training.job import create_job

Said = Callable[..., str]


@pytest.fixture
def job(compose_config: Callable[[Sequence[str]], dict], tmp_path: Path) -> Path:
    """A run that was not trained yet."""
    create_job(tmp_path / "job", "job", compose_config(["trainer=cpu"]))
    return tmp_path / "job"


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    """Resume, expect an exit status, and give all that was said."""

    def resume(path: object, status: int, *overrides: str) -> str:
        assert main([str(path), *overrides]) == status
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return said.out + said.err

    return resume


def test_a_run_is_also_given_by_a_file_in_it(job: Path, said: Said) -> None:
    write_record(job, dataclasses.replace(read_record(job), status=RunStatus.COMPLETED))
    for path in (job, job / "run.json", job / "config.yaml"):
        assert "this run has its result, and is not trained further" in said(path, 0)


@pytest.mark.parametrize("path", ["nowhere", "a" * 5000, "~nobody_of_this_name/run"])
def test_what_is_no_run_is_told_as_a_wrong_command(path: str, said: Said) -> None:
    assert "a run " in said(path, 2)


def test_a_config_without_its_sections_is_refused_naming_them(job: Path, said: Said) -> None:
    record = read_record(job)
    (job / "config.yaml").write_text("a: 1\n")
    write_record(job, dataclasses.replace(record, config_sha256=None))
    text = said(job, 2)
    for section in ("model", "data", "trainer"):
        assert f"{section}: it must name a class in _target_, got None" in text
    assert "train.log" not in text
    assert read_record(job).status is RunStatus.PENDING


def test_a_last_checkpoint_that_was_removed_is_told_with_the_remedy(job: Path, said: Said) -> None:
    last = LastCheckpoint("checkpoints/last.ckpt", "0" * 64, 1, 0)
    write_record(job, dataclasses.replace(read_record(job), status=RunStatus.INTERRUPTED, last=last))
    text = said(job, 1)
    assert "a recorded checkpoint must be there: " in text
    assert "last.ckpt was recorded with the sha256 000" in text
    assert "take it from a backup or train again" in text


def test_an_edited_record_is_refused_without_a_remedy_that_resume_does_not_have(job: Path, said: Said) -> None:
    path = job / "run.json"
    path.write_text(path.read_text().replace("val_loss", "val_lost"))
    text = said(job, 1)
    assert "keepbest.open_run(..., trust=True) reads it; no training goes on from it" in text
    path.write_text("{}")
    assert "keepbest.open_run(..., trust=True) reads it; no training goes on from it" in said(job, 1)


def test_what_a_terminal_obeys_is_shown_escaped(job: Path, said: Said) -> None:
    record = read_record(job)
    objective = dataclasses.replace(record.objective, monitor="val\x9b31m\x1b]0;owned\x07")
    ended = dataclasses.replace(record, status=RunStatus.COMPLETED, objective=objective, best_model_score=0.5)
    write_record(job, ended)
    text = said(job, 0)
    assert r"val\x9b31m\x1b]0;owned\x07 0.5" in text
    assert text.replace("\n", "").isprintable()
