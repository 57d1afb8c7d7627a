"""What the page of a run says first."""

from __future__ import annotations

import keepbest
from keepbest.records.run_record import RunStatus, Stopping
from keepbest.reports.run_page import run_page

TEST = {"test_loss": 0.5, "test_acc": 0.75}


def page_of(run_dir) -> tuple[list[str], dict[str, str]]:
    page = run_page(keepbest.open_run(run_dir), run_dir)
    return [tile.label for tile in page["tiles"]], page["facts"]


def test_tests_of_weights_that_nobody_kept_are_no_headline(made_sweep, made_job, tmp_path):
    diverged = Stopping({}, 0, 1, "non_finite", "val_loss is not finite: nan, no best yet")
    lost = {"best_model_score": None, "best_epoch": None, "status": RunStatus.DIVERGED, "stopping": diverged}
    jobs = [made_job(record={"test": TEST}), made_job(record={"test": TEST, **lost})]
    sweep = made_sweep(tmp_path / "sweep", jobs)
    tiles, facts = page_of(sweep / "0")
    assert tiles[-2:] == ["test_acc", "test_loss"]
    assert "test" not in facts
    tiles, facts = page_of(sweep / "1")
    assert not {"test_acc", "test_loss"} & set(tiles)
    assert facts["test"] == "test_loss 0.5000  test_acc 0.7500  of the weights it ended with"
    assert facts["stopped"] == "not finite, in epoch 0 after 1 check: val_loss is not finite: nan, no best yet"
