"""What is told of a run agrees with where it stands."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from keepbest.errors import RecordError
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
        "not finite, after 2 checks", "none was kept", "nothing to verify",
    ),
    "diverged by the policy's word": (
        KEPT, RunStatus.DIVERGED,
        {"stopping": Stopping({}, 3, 4, "non_finite", "val_loss is not finite: nan,\nbest 0.25")},
        r"not finite, in epoch 3 after 4 checks: val_loss is not finite: nan,\nbest 0.25", "val_loss 0.25 in epoch 1",
        "no, they were not evaluated again",
    ),
    "diverged and nobody stopped it": (
        BARE, RunStatus.DIVERGED, {"timing": ENDED, "stopping": Stopping(None, None, 1, "max_epochs", None)},
        "max epochs, after 1 epoch and 1 check: val_loss was not finite at the end", "none was kept",
        "nothing to verify",
    ),
    "shared by the jobs of a sweep": (
        KEPT, RunStatus.COMPLETED, {"timing": dataclasses.replace(ENDED, epochs_trained=44)},
        "as far as its jobs needed, after 44 epochs", "val_loss 0.25 in epoch 1",
        "each job's weights, in its own record",
    ),
    "shared, and nothing was kept": (
        BARE, RunStatus.COMPLETED, {"timing": ENDED},
        "as far as its jobs needed, after 1 epoch", "none was kept", "nothing to verify",
    ),
    "nothing to do": (BARE, RunStatus.COMPLETED, {}, "no training took place", "none was kept", "nothing to verify"),
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
        "val_loss 0.25  on val, 2026-11-22 10:02",
        "val_loss 0.25 (1 sample)  on val, 2026-11-22 10:02",
        r"val_loss 0.25 (4 samples)  on test of keepbest.data.CsvTable path=new\n.csv target=kind, 2026-11-22 10:02",
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
    html = run_html(record, tmp_path, dict)
    assert 'white-space: pre-line">' + "\n".join(lines) + "<" in html


def evaluated(*evaluations: Evaluation, config=None) -> list[str]:
    return facts_of(dataclasses.replace(KEPT, evaluations=list(evaluations)), config)["evaluated"].split("\n")


def test_evaluations_of_other_data_are_told_apart_by_what_is_not_the_runs_own():
    own = {"_target_": "keepbest.data.Digits", "batch_size": 64, "split_seed": 0, "loader": {"a": 1, "b": [1]}}
    others = [
        dataclasses.replace(OF_BEST, data=data)
        for data in (
            {**own, "split_seed": 7, "features": None},
            {"_target_": "keepbest.data.Digits", "loader": {"a": 1, "b": [2]}},
            {"_target_": "my.Table", "path": "a" * 70, "on": True, "features": ["x"]},
        )
    ]
    labels = [line.split(" of ")[1].split(", 2026")[0] for line in evaluated(*others, config=lambda: {"data": own})]
    assert labels == [
        "keepbest.data.Digits split_seed=7",
        "keepbest.data.Digits loader.b=[2]",
        f'my.Table path={"a" * 57}... on=true features=["x"]',
    ]

    def unreadable():
        raise RecordError("there is none")

    whole = " of keepbest.data.Digits batch_size=64 split_seed=7 loader.a=1 loader.b=[1], 2026"
    for config in (None, unreadable, dict, lambda: {"data": "digits"}):
        assert whole in evaluated(others[0], config=config)[0]
    many = dataclasses.replace(OF_BEST, data={"_target_": "my.Data", **{f"k{number}": 1 for number in range(11)}})
    assert " k7=1 and 3 more, 2026" in evaluated(many)[0]


def test_a_config_is_not_asked_for_where_no_other_data_were_evaluated():
    def never():
        raise AssertionError

    assert evaluated(OF_BEST, config=never)


def test_earlier_evaluations_are_counted_and_not_dropped_in_silence():
    lines = evaluated(*[dataclasses.replace(OF_BEST, samples=number) for number in range(2, 8)])
    assert [line.partition(" samples")[0].rpartition("(")[2] for line in lines[:3]] == ["5", "6", "7"]
    assert lines[3:] == ["and 3 earlier, in run.json"]


ANOTHER = {
    "as it was decided when it was made": ({"repeated": False, "metrics": {"val_loss": 0.25000001}}, True),
    "within the run's tolerance": ({"repeated": True, "metrics": {"val_loss": 0.27}}, False),
    "an older entry, beyond a thousandth": ({"metrics": {"val_loss": 0.2503}}, True),
    "an older entry, within a thousandth": ({"metrics": {"val_loss": 0.2502}}, False),
    "not a number": ({"metrics": {"val_loss": float("nan")}}, True),
    "of another split": ({"split": "test", "metrics": {"val_loss": 0.5}}, False),
    "of other data": ({"data": {"_target_": "my.Data"}, "metrics": {"val_loss": 0.5}}, False),
    "without the objective": ({"metrics": {"val_acc": 0.5}}, False),
}


@pytest.mark.parametrize(("changes", "is_another"), ANOTHER.values(), ids=ANOTHER)
def test_an_evaluation_that_gave_another_score_is_marked(changes, is_another):
    (line,) = evaluated(dataclasses.replace(OF_BEST, **changes))
    assert line.endswith(", not the recorded score") is is_another


def test_samples_that_were_trained_on_and_tests_of_weights_that_nobody_kept_are_told():
    (line,) = evaluated(dataclasses.replace(OF_BEST, samples=359, overlap=234))
    assert " (359 samples, 234 of them trained on)  on val" in line
    assert "trained on" not in evaluated(dataclasses.replace(OF_BEST, overlap=0))[0]
    assert facts_of(dataclasses.replace(KEPT, test={"test_loss": 0.5}))["test"] == "test_loss 0.5000"
    told = facts_of(dataclasses.replace(BARE, test={"test_loss": 0.5}))["test"]
    assert told == "test_loss 0.5000  of the weights it ended with"
