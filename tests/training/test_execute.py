"""`execute(job_dir)`: what a job gives, whatever its config says."""

import dataclasses
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keepbest.errors import (
    ConfigError,
    DataError,
    IntegrityError,
    KeepbestError,
    MonitorError,
    RecordError,
    VerificationError,
)
from keepbest.records.metrics_table import read_metrics
from keepbest.records.store import read_record, write_record


def weights(job_dir, name="best"):
    import torch

    return torch.load(job_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def same(first, second):
    import torch

    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def saved(job_dir):
    return json.loads((job_dir / "run.json").read_text())


def test_the_same_seed_gives_the_same_metrics_and_weights_bit_for_bit(run_job):
    runs = [run_job("trainer.max_epochs=4", f"seed={seed}", name=name) for name, seed in [("a", 7), ("b", 7), ("c", 8)]]
    tables = [(job_dir / "metrics.csv").read_bytes() for job_dir, _ in runs]
    best = [weights(job_dir) for job_dir, _ in runs]
    assert tables[0] == tables[1]
    assert same(best[0], best[1])
    assert tables[0] != tables[2], "the comparison can tell runs apart"
    assert not same(best[0], best[2])


@pytest.fixture(scope="module")
def csv_tables(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 3))
    total = features.sum(axis=1)
    table = pd.DataFrame(features, columns=["a", "b", "c"])
    table.assign(kind=np.where(total > 0, "high", "low")).to_csv(directory / "classes.csv", index=False)
    table.assign(price=total * 10 + 3).to_csv(directory / "prices.csv", index=False)
    return directory


@pytest.fixture(scope="module")
def fashion_files(tmp_path_factory):
    """Four small files in the format of Fashion-MNIST."""
    directory = tmp_path_factory.mktemp("fashion")
    rng = np.random.default_rng(0)
    for part, count in [("train", 200), ("t10k", 50)]:
        labels = np.arange(count, dtype=np.uint8) % 10
        images = rng.integers(0, 256, size=(count, 28, 28), dtype=np.uint8)
        with gzip.open(directory / f"{part}-images-idx3-ubyte.gz", "wb") as file:
            file.write(struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
        with gzip.open(directory / f"{part}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(struct.pack(">II", 2049, count) + labels.tobytes())
    return directory


PAIRS = [
    ("mlp", "digits", []),
    ("mlp", "breast_cancer", []),
    ("mlp", "fashion_mnist", ["data.data_dir={fashion}"]),
    ("mlp", "csv", ["data.path={tables}/classes.csv", "data.target=kind"]),
    ("cnn", "digits", []),
    ("cnn", "fashion_mnist", ["data.data_dir={fashion}"]),
    ("regressor", "diabetes", []),
    ("regressor", "csv", ["data.path={tables}/prices.csv", "data.target=price", "data.task=regression"]),
    ("unet", "shapes", ["data.num_samples=60"]),
]


@pytest.mark.parametrize(("model", "data", "more"), PAIRS, ids=[f"{model}-{data}" for model, data, _ in PAIRS])
def test_every_model_trains_on_the_data_it_is_made_for(model, data, more, run_job, csv_tables, fashion_files):
    filled = [item.format(fashion=fashion_files, tables=csv_tables) for item in more]
    job_dir, record = run_job(f"model={model}", f"data={data}", "trainer.max_epochs=2", *filled)
    assert record.status.value == "completed"
    assert record.verified.exact
    assert record.test["test_loss"] > 0
    losses = pd.read_csv(job_dir / "metrics.csv").train_loss
    assert losses.iloc[1] < losses.iloc[0], "it learns"


@pytest.mark.parametrize(
    ("model", "data", "suits"),
    [("regressor", "digits", "model=mlp"), ("mlp", "diabetes", "model=regressor"), ("cnn", "shapes", "model=unet")],
)
def test_a_pair_that_makes_no_sense_is_refused_with_what_would(model, data, suits, run_job):
    with pytest.raises(ConfigError, match=suits):
        run_job(f"model={model}", f"data={data}")


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.gradient_clip_val=0.5", "trainer.accumulate_grad_batches=2"],
        ["trainer.precision=bf16-mixed"],
        ["trainer.val_check_interval=0.5"],
        ["trainer.check_val_every_n_epoch=2"],
        ["objective=val_acc"],
        ["model/optimizer=sgd", "model/scheduler=onecycle"],
        ["model/scheduler=plateau"],
        ["data.num_workers=1"],
        ["logger=csv"],
        ["logger=tensorboard"],
        ["trainer.num_sanity_val_steps=0"],
    ],
    ids=",".join,
)
def test_plain_overrides_keep_the_promise_of_verified_weights(overrides, run_job):
    job_dir, record = run_job("trainer.max_epochs=4", *overrides)
    assert record.status.value == "completed"
    assert record.verified.exact
    series = pd.DataFrame(read_metrics(job_dir / "metrics.csv"))[[record.objective.monitor, "epoch", "step"]].dropna()
    values = series[record.objective.monitor]
    best = series.loc[values.idxmin() if record.objective.mode == "min" else values.idxmax()]
    assert tuple(best) == (record.best_model_score, record.best_epoch, record.best_step)


def test_weights_only_keeps_the_weights_and_nothing_else(run_job):
    job_dir, record = run_job("trainer.max_epochs=3", "callbacks/model_checkpoint=weights_only")
    import torch

    assert "optimizer_states" not in torch.load(job_dir / "checkpoints" / "best.ckpt", weights_only=True)
    assert record.verified.exact


def test_patience_counts_checks_and_the_record_says_so(run_job):
    _, record = run_job(
        "trainer.max_epochs=30", "trainer.val_check_interval=0.25", "callbacks.early_stopping.patience=2"
    )
    assert record.stopping.reason == "patience_exhausted"
    assert record.stopping.checks > record.timing.epochs_trained


def test_without_early_stopping_max_epochs_ends_the_run_and_nothing_is_called_stopped(run_job):
    _, record = run_job("callbacks/early_stopping=off", "trainer.max_epochs=3")
    assert record.stopping.reason == "max_epochs"
    assert record.stopping.policy is None
    assert record.stopping.stopped_epoch is None
    assert record.policy_best is None
    assert record.best_epoch is not None


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["trainer.max_steps=30"], "max_steps"),
        (["trainer.max_time=00:00:00:01", "trainer.max_epochs=-1", "callbacks/early_stopping=off"], "max_time"),
        (["callbacks.early_stopping.stopping_threshold=1.0"], "threshold_reached"),
    ],
)
def test_the_reason_of_the_end_is_told(overrides, reason, run_job):
    _, record = run_job(*overrides)
    assert record.stopping.reason == reason


def test_without_a_keeper_nothing_is_called_best(run_job):
    _, record = run_job("~callbacks.model_checkpoint", "trainer.max_epochs=2")
    assert record.status.value == "completed"
    assert (record.best_model_path, record.best_model_score, record.verified) == (None, None, None)
    assert record.test is not None


USER_CODE = """
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset


class Scripted(LightningModule):
    '''Logs a given series of values as val_loss, one for each validation after the sanity check.'''

    def __init__(self, values=(3.0, 2.0, 1.0), noise=0.0, fail_in_epoch=None, exit_in_epoch=None, extra=None):
        super().__init__()
        self.exit_in_epoch, self.extra = exit_in_epoch, extra
        self.layer = torch.nn.Linear(1, 1)
        self.values, self.noise, self.fail_in_epoch, self.at = list(values), noise, fail_in_epoch, {}

    def training_step(self, batch):
        if self.current_epoch == self.fail_in_epoch:
            raise RuntimeError("the user's own code broke")
        if self.current_epoch == self.exit_in_epoch:
            raise SystemExit(0)
        return self.layer(batch[0]).sum() * 0 + self.layer.weight.sum() * 1e-3

    def key(self):
        return float(self.layer.weight.detach())

    def validation_step(self, batch):
        if self.trainer.sanity_checking:
            value = 9.0
        elif self.trainer.state.fn == "fit":
            value = self.values[self.current_epoch]
            self.at[self.key()] = value
        else:
            value = self.at[self.key()] + self.noise
        self.log("val_loss", torch.tensor(value))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1.0)

    def on_save_checkpoint(self, checkpoint):
        checkpoint["at"] = dict(self.at)
        if self.extra:
            checkpoint["extra"] = torch.nn.Linear(1, 1)

    def on_load_checkpoint(self, checkpoint):
        self.at = dict(checkpoint["at"])


class TwoSets(Scripted):
    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        super().validation_step(batch)


class Unlogged(Scripted):
    def validation_step(self, batch):
        pass


class Numbers(LightningDataModule):
    def __init__(self, train=4, val=4):
        super().__init__()
        self.sizes = {"train": train, "val": val}

    def loader(self, split):
        return DataLoader(TensorDataset(torch.ones(self.sizes[split], 1)), 2, shuffle=split == "train")

    def train_dataloader(self):
        return self.loader("train")

    def val_dataloader(self):
        return self.loader("val")


class TwoValidationSets(Numbers):
    def val_dataloader(self):
        return [self.loader("val"), self.loader("val")]
"""


@pytest.fixture
def scripted(run_job, tmp_path, monkeypatch):
    """Run a user's own modules, which know nothing of keepbest."""
    (tmp_path / "scripted.py").write_text(USER_CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "scripted", raising=False)

    def run(*overrides, module="Scripted", name="job"):
        return run_job(
            "~model", "~data", f"+model._target_=scripted.{module}", "+data._target_=scripted.Numbers",
            "trainer.max_epochs=3", *overrides, name=name,
        )  # fmt: skip

    return run


def test_best_is_the_strict_optimum_and_policy_best_what_min_delta_accepted(scripted):
    _, record = scripted("+model.values=[3.0,1.0,0.99]", "callbacks.early_stopping.min_delta=0.1")
    assert (record.best_epoch, record.best_model_score) == (2, pytest.approx(0.99))
    assert dataclasses.asdict(record.policy_best) == {"epoch": 1, "score": 1.0}


def test_weights_that_do_not_reproduce_their_score_are_an_error(scripted, tmp_path):
    with pytest.raises(VerificationError, match=r"within 0, recorded 1\.0, measured 1\.125.*verification\.tolerance"):
        scripted("+model.noise=0.125")
    record = saved(tmp_path / "job")
    assert (record["status"], record["error"]["type"]) == ("failed", "VerificationError")
    assert record["verified"] is None
    assert record["best_model_score"] == 1.0, "what was kept is on record all the same"


def test_a_stated_tolerance_admits_a_noisy_validation_and_the_difference_is_recorded(scripted):
    _, record = scripted("+model.noise=0.125", "verification.tolerance=0.2")
    assert (record.verified.exact, record.verified.abs_diff, record.verified.score) == (False, 0.125, 1.125)


def test_nan_from_the_start_is_diverged_and_has_no_best(scripted):
    _, record = scripted("+model.values=[nan,nan,nan]")
    assert record.status.value == "diverged"
    assert record.stopping.reason == "non_finite"
    assert (record.best_model_path, record.best_model_score, record.policy_best) == (None, None, None)


def test_nan_later_is_diverged_and_keeps_the_finite_best_verified(scripted):
    _, record = scripted("+model.values=[3.0,2.0,nan]")
    assert record.status.value == "diverged"
    assert (record.best_epoch, record.best_model_score, record.verified.exact) == (1, 2.0, True)


def test_a_failing_epoch_leaves_its_error_in_record_and_log_and_the_best_so_far(scripted, tmp_path):
    with pytest.raises(RuntimeError, match="the user's own code broke"):
        scripted("+model.fail_in_epoch=2")
    record = saved(tmp_path / "job")
    assert (record["status"], record["error"]["type"]) == ("failed", "RuntimeError")
    assert record["error"]["message"] == "the user's own code broke"
    assert "in training_step" in record["error"]["traceback"]
    assert "in training_step" in (tmp_path / "job" / "train.log").read_text()
    assert weights(tmp_path / "job")


def test_a_metric_that_is_never_logged_is_found_before_the_first_training_step(scripted, tmp_path):
    with pytest.raises(MonitorError, match=r"got 'val_los'; validation logged val_loss\. Did you mean 'val_loss'\?"):
        scripted("objective.monitor=val_los", "+model.fail_in_epoch=0")
    with pytest.raises(MonitorError, match="validation logged nothing at all"):
        scripted("+model.fail_in_epoch=0", module="Unlogged", name="unlogged")
    assert saved(tmp_path / "job")["timing"]["epochs_trained"] is None


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (["+data.train=0"], "the training data is empty"),
        (["+data.val=0"], "validation has no batches"),
        (["trainer.limit_train_batches=0"], "the training data has no batches"),
        (["trainer.limit_val_batches=0"], "validation has no batches"),
    ],
)
def test_empty_data_is_an_error_that_says_so(sizes, message, scripted):
    with pytest.raises(DataError, match=message):
        scripted(*sizes)


def test_of_equal_scores_the_first_is_best_and_epoch_and_step_are_its_own(scripted):
    job_dir, record = scripted("+model.values=[2.0,1.0,1.0]")
    import torch

    kept = torch.load(job_dir / "checkpoints" / "best.ckpt", weights_only=True)
    assert (record.best_epoch, record.best_step) == (kept["epoch"], kept["global_step"]) == (1, 4)


def test_several_kept_checkpoints_need_names_of_their_own_and_the_best_of_them_is_recorded(scripted):
    with pytest.raises(ConfigError, match="several checkpoints cannot share one file name, got 2"):
        scripted("callbacks.model_checkpoint.save_top_k=2", name="refused")
    names = "callbacks.model_checkpoint.filename='best-{epoch}'"
    _, record = scripted("+model.values=[2.0,1.0,3.0]", "callbacks.model_checkpoint.save_top_k=2", names)
    assert (record.best_epoch, record.best_model_path) == (1, "checkpoints/best-1.ckpt")


def test_a_keeper_that_skips_the_optimum_is_an_error(scripted):
    with pytest.raises(KeepbestError, match=r"must keep the best check, val_loss 1\.0 of epoch 0, it kept 2\.0"):
        scripted("+model.values=[1.0,2.0,3.0]", "+callbacks.model_checkpoint.every_n_epochs=2")


def test_a_value_beyond_the_divergence_threshold_is_diverged(scripted):
    _, record = scripted("+model.values=[3.0,2.0,9.0]", "callbacks.early_stopping.divergence_threshold=5")
    assert (record.status.value, record.stopping.reason, record.best_epoch) == ("diverged", "diverged", 1)


def test_the_stopped_epoch_is_where_the_training_ended(scripted):
    patient = ["callbacks.early_stopping.patience=1", "trainer.min_epochs=3", "trainer.max_epochs=5"]
    _, record = scripted("+model.values=[1.0,2.0,3.0,4.0,5.0]", *patient)
    assert (record.stopping.stopped_epoch, record.timing.epochs_trained) == (2, 3)


def test_a_training_that_ends_before_its_first_validation_is_an_error(run_job):
    with pytest.raises(DataError, match="the training ended before its first validation"):
        run_job("trainer.max_steps=3")


def test_a_user_who_exits_does_not_end_the_command_with_success(scripted, tmp_path):
    with pytest.raises(KeepbestError, match=r"the training called sys\.exit\(0\)"):
        scripted("+model.exit_in_epoch=1")
    record = saved(tmp_path / "job")
    assert record["status"] == "failed"
    assert (record["best_epoch"], record["timing"]["epochs_trained"]) == (0, 1)


def test_the_best_so_far_of_a_failed_run_opens(scripted, tmp_path):
    import keepbest

    with pytest.raises(RuntimeError, match="the user's own code broke"):
        scripted("+model.fail_in_epoch=2")
    run = keepbest.open_run(tmp_path / "job", modules=["scripted"])
    assert (run.record["status"], run.record["best_epoch"]) == ("failed", 1)
    assert run.load_model().at


def test_the_loaded_model_has_the_precision_that_was_trained_in(run_job):
    import torch

    import keepbest

    job_dir, _ = run_job("trainer.max_epochs=1", "trainer.precision=64-true")
    loaded, kept = keepbest.open_run(job_dir).load_model().state_dict(), weights(job_dir)
    assert all(loaded[name].dtype == torch.float64 for name in kept)
    assert same(loaded, kept)


def test_one_of_several_validation_sets_can_be_the_objective(scripted):
    _, record = scripted(
        "data._target_=scripted.TwoValidationSets", "objective.monitor=val_loss/dataloader_idx_1", module="TwoSets"
    )
    assert record.verified.exact


def test_a_checkpoint_that_no_safe_load_accepts_is_refused_when_it_is_first_written(scripted, tmp_path):
    with pytest.raises(KeepbestError, match=r"only tensors and plain containers.*torch\.nn\.modules\.linear\.Linear"):
        scripted("+model.extra=true")
    assert saved(tmp_path / "job")["timing"]["epochs_trained"] in (None, 1)


def test_no_test_batch_is_no_test(run_job):
    _, record = run_job("trainer.max_epochs=1", "trainer.limit_test_batches=0")
    assert record.test is None


def test_a_job_runs_once(scripted):
    from keepbest.training.execute import execute

    job_dir, _ = scripted()
    before = (job_dir / "run.json").read_bytes()
    with pytest.raises(RecordError, match=r"a job has one result.*is completed already"):
        execute(job_dir)
    assert (job_dir / "run.json").read_bytes() == before


def test_of_several_launches_into_one_directory_one_gets_it(compose_config, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from keepbest.training.job import create_job

    config = compose_config(["trainer=cpu"])

    def attempt(number):
        return str(number) if create_job(tmp_path / "job", str(number), config) else None

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(attempt, range(8)) if number is not None]
    assert winners == [saved(tmp_path / "job")["id"]]


@pytest.mark.parametrize(
    "node",
    [
        "{_target_: pandas.read_pickle, filepath_or_buffer: payload}",
        "{_target_: keepbest.models.MLPClassifier, optimizer: {_target_: subprocess.Popen, args: [touch, hit]}}",
        "{_target_: keepbest.models.MLPClassifier, scheduler: [{_target_: os.system, command: touch hit}]}",
        "{_target_: collections.OrderedDict}",
    ],
)
def test_opening_a_run_calls_nothing_but_classes_of_models(node, scripted, monkeypatch, tmp_path):
    import pickle

    import keepbest

    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / "hit",)

    monkeypatch.chdir(tmp_path)
    Path("payload").write_bytes(pickle.dumps(Payload()))
    job_dir, _ = scripted()
    (job_dir / "config.yaml").write_text(f"model: {node}\n")
    write_record(job_dir, dataclasses.replace(read_record(job_dir), config_sha256=None))
    with pytest.raises((ConfigError, IntegrityError), match="it must be a class"):
        keepbest.open_run(job_dir).load_model()
    assert not (tmp_path / "hit").exists()
