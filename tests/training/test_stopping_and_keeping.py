"""keepbest's callbacks inside a job: what is restored, by what, and that it is verified."""

import logging

import pytest
import torch

from keepbest.errors import ConfigError, MonitorError

FAST = ("trainer.max_epochs=6",)


def best_checkpoint(job_dir):
    return torch.load(job_dir / "checkpoints" / "best.ckpt", weights_only=True)


def test_weights_restored_from_memory_are_verified_as_those_of_a_file_are(run_job):
    wanted = "callbacks.early_stopping.restore_best_weights=true"
    _, record = run_job(*FAST, "callbacks.model_checkpoint=null", wanted, name="memory")
    _, by_file = run_job(*FAST, name="file")
    assert (record.best_model_path, record.best_sha256, record.best_bytes) == (None, None, None)
    assert (record.best_model_score, record.best_epoch, record.best_step) == (
        by_file.best_model_score, by_file.best_epoch, by_file.best_step,
    )  # fmt: skip
    assert record.verified.exact
    assert record.test == by_file.test


def test_the_policys_best_is_kept_where_the_user_asks_for_it(run_job):
    """Its min_delta is the early stopping's, so both accept the same improvements."""
    delta = "callbacks.early_stopping.min_delta=0.2"
    settings = (*FAST, delta, "callbacks.early_stopping.patience=9")
    job_dir, record = run_job(*settings, "callbacks.model_checkpoint.min_delta=${callbacks.early_stopping.min_delta}")
    _, strict = run_job(*settings, name="strict")
    assert record.best_epoch == record.policy_best.epoch == best_checkpoint(job_dir)["epoch"]
    assert record.best_model_score == record.policy_best.score
    assert record.verified.exact
    assert strict.best_epoch > strict.policy_best.epoch


def test_baseline_and_warm_up_are_settings_of_a_run(run_job):
    _, record = run_job(
        "trainer.max_epochs=20", "callbacks.early_stopping.baseline=0.0", "callbacks.early_stopping.start_from_epoch=3",
        "callbacks.early_stopping.patience=4",
    )  # fmt: skip
    assert record.stopping.policy["baseline"] == 0.0
    assert record.stopping.stopped_epoch == record.timing.epochs_trained - 1
    assert 6 <= record.stopping.stopped_epoch < 19


def test_lightnings_own_callbacks_still_serve(run_job):
    stock = {
        "early_stopping": "{_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val_loss, patience: 1,"
        " min_delta: 0.5}",
        "model_checkpoint": "{_target_: lightning.pytorch.callbacks.ModelCheckpoint, monitor: val_loss,"
        " dirpath: checkpoints, filename: best}",
    }
    overrides = [f"{sign}callbacks.{name}{value}" for name, node in stock.items() for sign, value in
                 (("~", ""), ("+", f"={node}"))]  # fmt: skip
    _, record = run_job(*FAST, *overrides)
    assert record.stopping.reason == "patience_exhausted"
    assert record.stopping.policy["min_delta"] == 0.5
    assert record.policy_best.epoch == record.stopping.stopped_epoch - 1
    assert record.verified.exact


def test_an_argument_of_keepbests_for_lightnings_class_is_refused(run_job):
    with pytest.raises(ConfigError, match=r"callbacks\.early_stopping\.\w+: EarlyStopping takes no argument"):
        run_job("callbacks.early_stopping._target_=lightning.pytorch.callbacks.EarlyStopping")


def test_a_callback_of_the_other_package_is_refused_with_the_import_to_change(run_job):
    with pytest.raises(ConfigError, match=r"it must be a Callback of the package lightning, got 'LearningRateMonitor'"):
        run_job("+callbacks.lr._target_=pytorch_lightning.callbacks.LearningRateMonitor")


def test_a_training_metric_is_refused_where_the_best_is_restored(run_job):
    with pytest.raises(MonitorError, match="computed before the step that changes the weights"):
        run_job(*FAST, "objective.monitor=train_loss")


def test_and_may_stop_a_training_that_keeps_nothing_with_a_warning(run_job, caplog):
    with caplog.at_level(logging.WARNING):
        _, record = run_job(
            "trainer.max_epochs=30", "objective.monitor=train_loss", "callbacks.model_checkpoint=null",
            "callbacks.early_stopping.min_delta=0.2", "callbacks.early_stopping.patience=2",
        )  # fmt: skip
    assert record.stopping.reason == "patience_exhausted"
    assert record.stopping.checks == record.timing.epochs_trained < 30
    assert "train_loss is logged by training" in caplog.text


def test_a_name_that_training_does_not_log_either_is_refused_with_what_was_logged(run_job):
    with pytest.raises(MonitorError, match=r"never logs, got 'train_los'.*Did you mean 'train_loss'\?"):
        run_job(*FAST, "objective.monitor=train_los", "callbacks.model_checkpoint=null")


def test_with_the_guard_off_it_is_kept_but_cannot_be_verified(run_job, caplog):
    job_dir, record = run_job(*FAST, "objective.monitor=train_loss", "guards.training_monitor=false")
    assert record.best_epoch == best_checkpoint(job_dir)["epoch"] == 5
    assert record.verified is None
    assert "cannot be verified: train_loss is logged by training, not by validation" in caplog.text


def test_each_guard_is_turned_off_by_its_name(scripted_overlap, run_job, caplog):
    run_job(*scripted_overlap)
    assert "identical to training samples" in caplog.text
    assert "early stopping cannot happen" in caplog.text
    caplog.clear()
    run_job(*scripted_overlap, "guards.overlap=false", "guards.patience=false", name="off")
    assert "identical to training samples" not in caplog.text
    assert "early stopping cannot happen" not in caplog.text


@pytest.fixture
def scripted_overlap(tmp_path):
    """A table in which every row stands twice, trained for less epochs than patience."""
    rows = [f"{i % 20},{i % 20 * 2}" for i in range(40)]
    (tmp_path / "twice.csv").write_text("\n".join(["x,y", *rows]))
    return (
        "data=csv", f"data.path={tmp_path / 'twice.csv'}", "data.target=y", "data.task=regression", "model=regressor",
        "trainer.max_epochs=2",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+guards.overlaps=true", r"guards\.overlaps: there is no such guard.*Did you mean 'overlap'\?"),
        ("guards.overlap=maybe", r"guards\.overlap: it must be true or false, got 'maybe'"),
    ],
)
def test_a_wrong_guard_is_refused(override, message, run_job):
    with pytest.raises(ConfigError, match=message):
        run_job(override)
