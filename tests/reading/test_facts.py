"""What is told of a run agrees with where it stands."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from keepbest.reading.facts import facts_of
from keepbest.records.run_record import (
    Environment,
    Evaluation,
    Failure,
    Objective,
    RunRecord,
    RunStatus,
    Stopping,
    Timing,
    Verification,
)

BARE = RunRecord(
    "id", RunStatus.COMPLETED, Objective("val_loss", "min"), 1, Environment(None, None, {}, ["keepbest"], "host", "/")
)
KEPT = dataclasses.replace(BARE, best_model_score=0.25, best_epoch=1, best_sha256="a" * 64)
ENDED = Timing("2026-11-22T10:00:00+01:00", "2026-11-22T10:01:00+01:00", 60.0, 1)
PATIENCE = Stopping({}, 3, 4, "patience_exhausted", None)
OF_BEST = Evaluation("val", None, {"val_loss": 0.25}, "2026-11-22T10:02:00+01:00", "cpu", "a" * 64, samples=1)

TOLD = {
    "pending": (BARE, RunStatus.PENDING, {}, "not yet, it has not begun", "none yet", "not yet"),
    "running": (KEPT, RunStatus.RUNNING, {}, "not yet, it is running", "val_loss 0.25 in epoch 1", "not yet"),
    "running again": (
        KEPT, RunStatus.RUNNING, {"timing": dataclasses.replace(ENDED, finished=None), "stopping": PATIENCE},
        "not yet, it is running", "val_loss 0.25 in epoch 1", "not yet",
    ),
    "killed": (
        KEPT, RunStatus.INTERRUPTED, {"timing": dataclasses.replace(ENDED, finished=None)},
        "interrupted before it ended", "val_loss 0.25 in epoch 1", "no, the run did not get so far",
    ),
    "interrupted": (
        KEPT, RunStatus.INTERRUPTED, {"timing": ENDED},
        "interrupted before it ended, after 1 epoch", "val_loss 0.25 in epoch 1", "no, the run did not get so far",
    ),
    "failed": (
        BARE, RunStatus.FAILED, {},
        "failed before it ended", "none was kept", "no, the run did not get so far",
    ),
    "interrupted while it was tested": (
        KEPT, RunStatus.INTERRUPTED, {"stopping": PATIENCE, "verified": Verification(0.25, 0.0, True)},
        "patience exhausted, in epoch 3 after 4 checks", "val_loss 0.25 in epoch 1",
        "yes, the restored weights give the same score bit for bit",
    ),
    "not reproduced": (
        KEPT, RunStatus.FAILED, {"stopping": PATIENCE, "error": Failure("VerificationError", "must", "")},
        "patience exhausted, in epoch 3 after 4 checks", "val_loss 0.25 in epoch 1",
        "no, the restored weights gave another score",
    ),
    "completed": (
        KEPT, RunStatus.COMPLETED, {"timing": ENDED, "stopping": Stopping(None, None, 1, "max_epochs", None)},
        "max epochs, after 1 epoch and 1 check", "val_loss 0.25 in epoch 1", "no, they were not evaluated again",
    ),
    "without epochs": (
        BARE, RunStatus.DIVERGED, {"stopping": Stopping(None, None, 2, "non_finite", None)},
        "non finite, after 2 checks", "none was kept", "nothing to verify",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("record", "status", "changes", "stopped", "best", "verified"), TOLD.values(), ids=TOLD)
def test_the_status_decides_what_is_told(record, status, changes, stopped, best, verified):
    facts = facts_of(dataclasses.replace(record, status=status, **changes))
    assert (facts["stopped"], facts["best"], facts["verified"]) == (stopped, best, verified)


def test_evaluations_of_the_present_best_have_a_line_each(tmp_path):
    from keepbest.reading.views import run_html
    from keepbest.reports.run_view import print_facts
    from keepbest.reports.terminal import show_result

    earlier = dataclasses.replace(OF_BEST, best_sha256="b" * 64, metrics={"val_loss": 0.75})
    table = {"_target_": "keepbest.data.CsvTable", "path": "new\n.csv", "target": "kind"}
    other = dataclasses.replace(OF_BEST, data=table, split="test", samples=4)
    older = dataclasses.replace(OF_BEST, samples=None)
    record = dataclasses.replace(KEPT, evaluations=[older, earlier, OF_BEST, other])
    lines = [
        "val_loss 0.25  on val, 2026-11-22",
        "val_loss 0.25 (1 sample)  on val, 2026-11-22",
        r"val_loss 0.25 (4 samples)  on test of keepbest.data.CsvTable new\n.csv, 2026-11-22",
    ]
    assert facts_of(record)["evaluated"] == "\n".join(lines)
    assert "evaluated" not in facts_of(dataclasses.replace(record, evaluations=[earlier]))
    for show in (
        lambda console: show_result(tmp_path, record, console),
        lambda console: print_facts(console, facts_of(record)),
    ):
        console = Console(file=io.StringIO(), width=300)
        show(console)
        indented = "".join(f"{'' if place else 'evaluated':<12}{line}\n" for place, line in enumerate(lines))
        assert indented in console.file.getvalue()
    html = run_html(record, tmp_path)
    assert 'white-space: pre-line">' + "\n".join(lines) + "<" in html
