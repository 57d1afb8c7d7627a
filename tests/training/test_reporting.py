"""What a person reads when a job fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepbest.errors import KeepbestError
from keepbest.training.reporting import explain_failure


def test_the_log_is_pointed_at_only_where_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain_failure(ValueError("no"), tmp_path) == 1
    assert capsys.readouterr().err == "keepbest: ValueError: no\nHYDRA_FULL_ERROR=1 prints the traceback.\n"
    (tmp_path / "train.log").touch()
    assert explain_failure(ValueError("no"), tmp_path) == 1
    assert f"The traceback is in {tmp_path / 'train.log'}; HYDRA_FULL_ERROR=1 prints" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [KeepbestError, ValueError])
def test_nothing_reaches_the_terminal_that_it_would_obey(
    kind: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    explain_failure(kind("größe \x1b[31m\x9b2J\x00\u202e\ud800 価値 🙂\n\tsecond line"))
    said = capsys.readouterr().err
    assert r"größe \x1b[31m\x9b2J\x00\u202e\ud800 価値 🙂" + "\n\tsecond line" in said
