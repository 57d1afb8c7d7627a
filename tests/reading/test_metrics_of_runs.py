"""`metrics.csv` of a run: hashed when the run has its result, looked at for its form before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import keepbest
from keepbest.errors import IntegrityError, RecordError
from keepbest.records.store import read_record, sealed
from keepbest.training.continuation import change_settings


def test_a_run_with_a_result_has_the_hash_of_its_metrics(honest_run: Path) -> None:
    digest = hashlib.sha256((honest_run / "metrics.csv").read_bytes()).hexdigest()
    assert keepbest.open_run(honest_run).record["metrics_sha256"] == digest


@pytest.mark.parametrize("position", range(0, 1000, 83))
def test_metrics_that_are_not_the_recorded_ones_are_refused_with_both_hashes(copied: Path, position: int) -> None:
    path = copied / "metrics.csv"
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1
    path.write_bytes(content)
    recorded = read_record(copied).metrics_sha256
    with pytest.raises(
        IntegrityError, match=f"a table of metrics must .* was recorded as {recorded}, is [0-9a-f]{{64}}"
    ):
        _ = keepbest.open_run(copied).metrics


def test_metrics_that_were_removed_are_told(copied: Path) -> None:
    (copied / "metrics.csv").unlink()
    with pytest.raises(IntegrityError, match=r"a recorded table of metrics must be there: .*metrics\.csv was recorded"):
        _ = keepbest.open_run(copied).metrics


def test_trust_reads_metrics_that_were_edited(copied: Path) -> None:
    (copied / "metrics.csv").write_text("epoch,step,val_loss\n0,1,0.5\n")
    assert keepbest.open_run(copied, trust=True).metrics.val_loss.tolist() == [0.5]


def test_a_run_without_a_result_has_no_hash_and_opens(copied: Path, edit_record: Callable[..., None]) -> None:
    edit_record(copied, status="interrupted", metrics_sha256=None)
    (copied / "metrics.csv").write_text("epoch,step,val_loss\n0,1,0.5\n")
    assert len(keepbest.open_run(copied).metrics) == 1


def test_a_record_of_before_metrics_were_hashed_opens(copied: Path) -> None:
    data: dict[str, Any] = json.loads((copied / "run.json").read_text())
    del data["checksum"], data["metrics_sha256"]
    (copied / "run.json").write_text(sealed(data))
    run = keepbest.open_run(copied)
    assert run.record["metrics_sha256"] is None
    assert len(run.metrics) == 2


def test_a_run_that_goes_on_loses_the_hash(copied: Path) -> None:
    """Its table will grow; a crash on the way must not make it look damaged."""
    change_settings(copied, ["trainer.max_epochs=3"])
    assert read_record(copied).metrics_sha256 is None


TABLES = {
    "empty": ("", "must hold a row of names and at least one of numbers"),
    "names alone": ("epoch,step,val_loss\n", "must hold a row of names and at least one of numbers"),
    "a cell too few": ("epoch,step,a\n1,2\n", "each row must have 3 cells, row 1 has 2: "),
    "a cell too many": ("epoch,step,a\n1,2,3\n1,2,3,4\n", "each row must have 3 cells, row 2 has 4: "),
    "an empty line": ("epoch,step,a\n\n1,2,3\n", "each row must have 3 cells, row 1 has 0"),
    "a row that is cut off": ("epoch,step,a\n1,2,0.125\n2,4,0.1", "its last row is cut off: "),
    "other columns": ("a,b\n1,2\n", "its columns must be epoch, step and metrics of different names, got "),
    "a column twice": ("epoch,step,a,a\n1,2,3,4\n", "its columns must be epoch, step and metrics of different names"),
    "quotes": ('"' * 1000, "must hold a row of names"),
    "a zero byte": ("\0", "must hold a row of names|NUL"),
    "a number of many digits": ("epoch,step\n" + "9" * 5000 + ",1\n", "4300 digits"),
    "a number of another kind": ("epoch,step,a\n1,2,0x10\n", "could not convert"),
    "the table twice": ("epoch,step\n1,2\n" * 2, "invalid literal"),
    "wide rows": ("epoch,step\n" + "1," * 100_000 + "\n", "each row must have 2 cells, row 1 has 100001: .{,300}$"),
}


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(("text", "message"), TABLES.values(), ids=TABLES)
def test_what_is_no_table_of_metrics_is_refused_trusted_or_not(
    copied: Path, edit_record: Callable[..., None], text: str, message: str, trust: bool
) -> None:
    (copied / "metrics.csv").write_text(text)
    edit_record(copied, metrics_sha256=hashlib.sha256(text.encode()).hexdigest())
    with pytest.raises(RecordError, match=rf"metrics\.csv cannot be read as a table of metrics: .*{message}"):
        _ = keepbest.open_run(copied, trust=trust).metrics
