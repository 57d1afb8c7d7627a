"""What merges and what splits, and why some jobs train alone: unknown means separate."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import lightning.pytorch.callbacks as lightning_callbacks
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

import keepbest
from keepbest.composition.build import build_model
from keepbest.sweeping.fingerprint import (
    MASKED,
    OF_THE_OBJECTIVE,
    WATCH,
    config_hash,
    fingerprint_of,
    watch_settings_of,
    without_policy,
)
from keepbest.sweeping.obstacles import why_alone

ES = "callbacks.early_stopping"
MC = "callbacks.model_checkpoint"
L = "lightning.pytorch.callbacks"
GONE = object()


@pytest.fixture(scope="session")
def usual(compose_config) -> dict[str, Any]:
    """The config of the default job."""
    return compose_config([])


def changed(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *above, last = path.split(".")
        node = config
        for key in above:
            node = node[key]
        if value is GONE:
            del node[last]
        else:
            node[last] = value
    return config


MERGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "patience": ({f"{ES}.patience": 1}, {f"{ES}.patience": 2}),
    "min_delta": ({f"{ES}.min_delta": 0}, {f"{ES}.min_delta": 0.1}),
    "min_delta, as another number": ({f"{ES}.min_delta": 1}, {f"{ES}.min_delta": 1.0}),
    "thresholds": ({f"{ES}.stopping_threshold": 0.1}, {f"{ES}.divergence_threshold": 9.0}),
    "baseline and warm-up": ({f"{ES}.baseline": 0.1}, {f"{ES}.start_from_epoch": 3}),
    "check_finite": ({f"{ES}.check_finite": False}, {}),
    "what is only said": ({f"{ES}.verbose": True}, {f"{ES}.log_rank_zero_only": True}),
    "off": ({ES: None}, {}),
    "off, in two ways": ({ES: None}, {ES: GONE}),
    "off, and an empty node": ({ES: None}, {ES: {}}),
    "the class by its other name": ({f"{ES}._target_": "keepbest.callbacks.early_stopping.EarlyStopping"}, {}),
    "a default, given or left out": ({f"{ES}.strict": GONE}, {f"{ES}.check_on_train_epoch_end": GONE}),
    "no restoring, said or not": ({f"{ES}.restore_best_weights": GONE}, {}),
}
SPLITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "seed": ({"seed": 1}, {"seed": 2}),
    "a number by its type": ({"model.dropout": 1}, {"model.dropout": 1.0}),
    "a truth value by its type": ({"model.dropout": 1}, {"model.dropout": True}),
    "another truth value": ({"model.dropout": 0}, {"model.dropout": False}),
    "a text by its type": ({"model.dropout": "1"}, {"model.dropout": 1}),
    "nothing by its type": ({"model.dropout": None}, {"model.dropout": "None"}),
    "a missing key": ({"model.dropout": None}, {"model.dropout": GONE}),
    "a key by its type": ({"model.map": {1: 2}}, {"model.map": {"1": 2}}),
    "the sign of zero": ({"model.dropout": 0.0}, {"model.dropout": -0.0}),
    "numbers that are none": ({"model.dropout": float("nan")}, {"model.dropout": "nan"}),
    "the order of a list": ({"model.hidden_sizes": [1, 2]}, {"model.hidden_sizes": [2, 1]}),
    "a list in a list": ({"model.hidden_sizes": [[1], 2]}, {"model.hidden_sizes": [[1, 2]]}),
    "texts with commas": ({"model.names": ["a', 'b"]}, {"model.names": ["a", "b"]}),
    "the objective": ({"objective.monitor": "val_acc"}, {}),
    "guards": ({"guards.patience": False}, {}),
    "the trainer's limits": ({"trainer.min_epochs": 3}, {"trainer.min_epochs": None}),
    "which checks there are": ({f"{ES}.check_on_train_epoch_end": True}, {}),
    "whether a check may be missing": ({f"{ES}.strict": False}, {}),
    "off, beside other checks": ({ES: None}, {f"{ES}.check_on_train_epoch_end": True}),
    "restoring": ({f"{ES}.restore_best_weights": True}, {f"{ES}.restore_best_weights": "policy_best"}),
    "a setting that is unknown": ({f"{ES}.surprise": 1}, {f"{ES}.surprise": 2}),
    "another early stopping": ({f"{ES}._target_": f"{L}.EarlyStopping"}, {}),
    "settings of another early stopping": (
        {f"{ES}._target_": "mine.Stopping", f"{ES}.patience": 1}, {f"{ES}._target_": "mine.Stopping"}),
    "what is kept": ({f"{MC}.min_delta": 1e-4}, {}),
    "another callback": ({"callbacks.mine": {"_target_": "mine.Callback"}}, {}),
    "the order of callbacks": (
        {"callbacks": {"a": {"_target_": "a.A"}, "b": {"_target_": "b.B"}}},
        {"callbacks": {"b": {"_target_": "b.B"}, "a": {"_target_": "a.A"}}}),
    "the order of what is made": (
        {"model": {"_target_": "a.A", "one": {"_target_": "b.B"}, "two": {"_target_": "b.B"}}},
        {"model": {"_target_": "a.A", "two": {"_target_": "b.B"}, "one": {"_target_": "b.B"}}}),
    "the order of a plain mapping": ({"data.classes": {"a": 0, "b": 1}}, {"data.classes": {"b": 1, "a": 0}}),
    "a section of the user's": ({"environment": {"A": "1"}}, {"environment": {"A": "2"}}),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other"), MERGES.values(), ids=MERGES)
def test_what_only_the_policy_reads_merges(usual, one, other):
    assert fingerprint_of(changed(usual, one)) == fingerprint_of(changed(usual, other))
    assert config_hash(changed(usual, one)) != config_hash(changed(usual, other))


@pytest.mark.parametrize(("one", "other"), SPLITS.values(), ids=SPLITS)
def test_everything_else_splits(usual, one, other):
    assert fingerprint_of(changed(usual, one)) != fingerprint_of(changed(usual, other))
    assert config_hash(changed(usual, one)) != config_hash(changed(usual, other))


def reversed_sections(config: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(config.items()))


def test_the_order_of_sections_and_of_plain_arguments_does_not_matter(usual):
    other = reversed_sections(usual)
    other["trainer"] = reversed_sections(usual["trainer"])
    other["data"] = reversed_sections(usual["data"])
    other["callbacks"] = {name: reversed_sections(node) for name, node in usual["callbacks"].items()}
    assert list(other) != list(usual)
    assert fingerprint_of(other) == fingerprint_of(usual)
    assert config_hash(other) == config_hash(usual)


def test_where_early_stopping_stands_among_the_callbacks_does_not_matter(usual):
    assert fingerprint_of(changed(usual, {"callbacks": reversed_sections(usual["callbacks"])})) == fingerprint_of(usual)


TWO = """
from lightning.pytorch import LightningModule

class Two(LightningModule):
    def __init__(self, one, two):
        super().__init__()
        self.one, self.two = one, two
"""


def test_the_order_of_what_is_made_is_part_of_the_training(tmp_path, monkeypatch):
    """Networks draw their weights in the order in which the config names them."""
    (tmp_path / "two_networks.py").write_text(TWO)
    monkeypatch.syspath_prepend(tmp_path)
    layer = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 2}
    weights = []
    for names in (("one", "two"), ("two", "one")):
        seed_everything(1, verbose=False)
        model: Any = build_model({"_target_": "two_networks.Two", **dict.fromkeys(names, layer)})
        weights.append(model.one.weight)
    assert not torch.equal(*weights)


def test_the_environment_belongs_to_the_training(usual):
    assert fingerprint_of(usual) == fingerprint_of(usual, {})
    assert fingerprint_of(usual, {"A": "1"}) != fingerprint_of(usual, {"A": "2"})
    assert fingerprint_of(usual, {"A": "1", "B": "2"}) == fingerprint_of(usual, {"B": "2", "A": "1"})
    assert fingerprint_of(usual, {"A": "1"}) != fingerprint_of(changed(usual, {"environment": {"A": "1"}}))


COMPOSED_MERGES = {
    "presets that differ in patience": (["callbacks/early_stopping=simple"], ["callbacks/early_stopping=complex"]),
    "a preset that is off": (["callbacks/early_stopping=off"], [f"{ES}.patience=3"]),
}
COMPOSED_SPLITS = {
    "a text made of a masked value": [f"+tag='p${{{ES}.patience}}'"],
    "a masked value in a callback": [f"{MC}.min_delta=${{{ES}.patience}}"],
    "a masked value in the model": [f"model.dropout=${{{ES}.patience}}"],
    "a masked value in the trainer": [f"trainer.min_epochs=${{{ES}.patience}}"],
}


@pytest.mark.parametrize(("one", "other"), COMPOSED_MERGES.values(), ids=COMPOSED_MERGES)
def test_configs_that_differ_in_the_policy_merge(compose_config, one, other):
    assert fingerprint_of(compose_config(one)) == fingerprint_of(compose_config(other))


@pytest.mark.parametrize("common", COMPOSED_SPLITS.values(), ids=COMPOSED_SPLITS)
def test_a_value_that_came_from_a_masked_one_splits(compose_config, common):
    one, other = (compose_config([*common, f"{ES}.patience={patience}"]) for patience in (1, 2))
    assert fingerprint_of(one) != fingerprint_of(other)


def test_a_fingerprint_is_short_and_always_the_same(usual):
    assert len(fingerprint_of(usual)) == 16
    assert len(config_hash(usual)) == 64
    assert len({config_hash(usual), config_hash(usual, {"X": "1"}), config_hash(usual, {"X": "2"})}) == 3
    assert fingerprint_of({"callbacks": None}) == fingerprint_of({"callbacks": {}}) == fingerprint_of({})
    assert config_hash({"a": [1, {"b": "\ud800"}]}) == config_hash({"a": [1, {"b": "\ud800"}]})


def test_the_watch_settings_have_their_defaults(usual):
    assert watch_settings_of(usual) == {"check_on_train_epoch_end": None, "strict": True}
    assert watch_settings_of(changed(usual, {ES: None})) == watch_settings_of(usual)
    other = changed(usual, {f"{ES}.strict": False, f"{ES}.check_on_train_epoch_end": True})
    assert watch_settings_of(other) == {"check_on_train_epoch_end": True, "strict": False}


def test_the_shared_config_has_no_policy_and_the_rest_as_it_is(usual):
    shared = without_policy(usual)
    assert shared["callbacks"] == {**usual["callbacks"], "early_stopping": None}
    assert {name: node for name, node in shared.items() if name != "callbacks"} == {
        name: node for name, node in usual.items() if name != "callbacks"
    }
    assert usual["callbacks"]["early_stopping"], "the job's own config is not changed"
    assert without_policy({"callbacks": None})["callbacks"] == {"early_stopping": None}


def node(target: str, **settings: Any) -> dict[str, Any]:
    return {"_target_": target, **settings}


KEEPER = {"monitor": "val_loss", "mode": "min", "dirpath": "checkpoints"}
TOGETHER: dict[str, dict[str, Any]] = {
    "the default job": {},
    "no early stopping": {ES: None},
    "a whole epoch between checks": {"trainer.val_check_interval": 1.0},
    "several epochs between checks": {"trainer.check_val_every_n_epoch": 3},
    "checks within epochs": {"trainer.val_check_interval": 0.25},
    "checks by batches": {"trainer.val_check_interval": 23},
    "checks of each batch": {"trainer.val_check_interval": 1, "trainer.check_val_every_n_epoch": None},
    "checks across epochs": {"trainer.val_check_interval": 23, "trainer.check_val_every_n_epoch": None},
    "two processes": {"trainer.strategy": "ddp", "trainer.devices": 2},
    "a variant of ddp": {"trainer.strategy": "ddp_find_unused_parameters_true"},
    "a strategy as a node": {"trainer.strategy": node("lightning.pytorch.strategies.DDPStrategy", timeout=3)},
    "a plugin for precision": {"trainer.plugins": [node("lightning.pytorch.plugins.precision.MixedPrecision")]},
    "a plugin by name": {"trainer.plugins": "16-mixed"},
    "a cluster": {"trainer.plugins": node("lightning.pytorch.plugins.environments.SLURMEnvironment")},
    "keepbest's own way of writing": {
        "trainer.plugins": node("keepbest.checkpoints.checkpoint_io.DurableCheckpointIO")},
    "a profiler": {"trainer.profiler": "simple"},
    "loggers": {"logger": {"csv": node("lightning.pytorch.loggers.CSVLogger", save_dir=".")}},
    "a callback of the user's": {"callbacks.mine": node("mine.Callback")},
    "a callback that is null": {"callbacks.timer": None},
    "a callback of the trainer's": {"trainer.callbacks": [node(f"{L}.LearningRateMonitor")]},
    "a learning rate that is searched for": {"callbacks.finder": node(f"{L}.LearningRateFinder")},
    "gradients that are added up": {"callbacks.adding": node(f"{L}.GradientAccumulationScheduler", scheduling={4: 2})},
    "a keeper of the last state of each best": {f"{MC}.save_last": True},
    "all checkpoints kept": {f"{MC}.save_top_k": -1, f"{MC}.filename": "{epoch}"},
    "several kept": {f"{MC}.save_top_k": 3, f"{MC}.filename": "{epoch}-{val_loss:.3f}"},
    "weights only": {f"{MC}.save_weights_only": True},
    "a keeper with min_delta": {f"{MC}.min_delta": 0.1},
    "a keeper at the end of the epoch": {f"{MC}.save_on_train_epoch_end": True},
    "a keeper after validation": {f"{MC}.save_on_train_epoch_end": False},
    "a keeper of every other epoch": {f"{MC}.every_n_epochs": 2},
    "Lightning's keeper": {MC: node(f"{L}.ModelCheckpoint", **KEEPER)},
    "a keeper by another name": {MC: None, "callbacks.mine": node("keepbest.ModelCheckpoint", **KEEPER)},
    "a keeper without a directory": {f"{MC}.dirpath": None},
    "a keeper in a directory below": {f"{MC}.dirpath": "a/../b/..c"},
}  # fmt: skip
WITHIN = "its checks come within epochs"
ALONE: dict[str, tuple[dict[str, Any], str]] = {
    "no seed": ({"seed": None}, "it has no seed, so that no two trainings are alike"),
    "a limit by the clock": ({"trainer.max_time": "00:01:00:00"}, "trainer.max_time ends it by the clock"),
    "a dry run": ({"trainer.fast_dev_run": True}, "trainer.fast_dev_run switches stopping and keeping off"),
    "no checkpoints": ({"trainer.enable_checkpointing": False}, "trainer.enable_checkpointing switches keeping off"),
    "a trainer of the user's": ({"trainer._target_": "mine.Trainer"}, "its trainer is mine.Trainer, which may follow"),
    "checks by the clock": ({"trainer.val_check_interval": "00:00:01:00"}, "its checks come by the clock"),
    "checks by the clock, as a node": (
        {"trainer.val_check_interval": node("datetime.timedelta", minutes=1)}, "its checks come by the clock"),
    "checks within epochs on two devices": (
        {"trainer.val_check_interval": 0.25, "trainer.devices": 2}, f"{WITHIN}, and it may train on several devices"),
    "checks by batches on whatever there is": (
        {"trainer.val_check_interval": 23, "trainer.devices": "auto", "trainer.accelerator": "gpu"},
        f"{WITHIN}, and it may train on several devices"),
    "checks across epochs on two machines": (
        {"trainer.check_val_every_n_epoch": None, "trainer.num_nodes": 2},
        f"{WITHIN}, and it may train on several devices"),
    "checks of each batch": ({"trainer.val_check_interval": 1}, "is each batch to Lightning's trainer, and each epoch"),
    "checks by batches in a group of processes": (
        {"trainer.val_check_interval": 2, "trainer.strategy": "ddp"}, f"{WITHIN}, and it may train on several"),
    "a strategy with checkpoints of its own": (
        {"trainer.strategy": "fsdp"}, "trainer.strategy=fsdp may write checkpoints in a way of its own"),
    "a strategy of the user's": (
        {"trainer.strategy": node("mine.DDPStrategy")}, "trainer.strategy=DDPStrategy may write checkpoints in a way"),
    "a strategy that is told how to write": (
        {"trainer.strategy": node("lightning.pytorch.strategies.DDPStrategy", checkpoint_io=node("mine.IO"))},
        "trainer.strategy=DDPStrategy may write checkpoints in a way"),
    "checkpoints written in a thread": (
        {"trainer.plugins": [node("keepbest.checkpoints.async_checkpoint_io.AsyncDurableCheckpointIO")]},
        "trainer.plugins has AsyncDurableCheckpointIO, which may write checkpoints in a way of its own"),
    "Lightning's checkpoints in a thread": (
        {"trainer.plugins": node("lightning.pytorch.plugins.io.AsyncCheckpointIO")},
        "trainer.plugins has AsyncCheckpointIO, which may write"),
    "a plugin of the user's": (
        {"trainer.plugins": [node("mine.SlowPrecision")]}, "trainer.plugins has SlowPrecision, which may write"),
    "another early stopping": (
        {f"{ES}._target_": f"{L}.EarlyStopping"}, f"its early stopping is {L}.EarlyStopping, which decides by rules"),
    "restoring from memory": (
        {f"{ES}.restore_best_weights": True}, "callbacks.early_stopping.restore_best_weights writes the best weights"),
    "restoring the policy's best": (
        {f"{ES}.restore_best_weights": "policy_best"}, "restore_best_weights writes the best weights"),
    "a setting that is unknown": ({f"{ES}.surprise": 1}, "callbacks.early_stopping.surprise is no setting of a"),
    "settings by position": ({f"{ES}._args_": ["val_loss", 1]}, "callbacks.early_stopping._args_ is no setting of a"),
    "a second early stopping": (
        {"callbacks.second": node("keepbest.EarlyStopping")}, "callbacks.second is a second early stopping"),
    "an early stopping of the user's": (
        {"callbacks.mine": node("mine.ClockEarlyStopping")}, "callbacks.mine is a second early stopping"),
    "an early stopping in the trainer": (
        {"trainer.callbacks": [node("mine.A"), node(f"{L}.EarlyStopping")]},
        "trainer.callbacks[1] is a second early stopping"),
    "a timer": ({"callbacks.timer": node(f"{L}.Timer")}, "callbacks.timer ends it by the clock"),
    "a timer in the trainer": ({"trainer.callbacks": node(f"{L}.Timer")}, "trainer.callbacks[0] ends it by the clock"),
    "a batch size that is searched for": (
        {"callbacks.finder": node(f"{L}.BatchSizeFinder")}, "callbacks.finder takes the batch size that fits into the"),
    "weights averaged at the end": (
        {"callbacks.swa": node(f"{L}.StochasticWeightAveraging", swa_lrs=0.1)},
        "callbacks.swa puts other weights into the model where the training ends"),
    "averaged weights": ({"callbacks.ema": node(f"{L}.EMAWeightAveraging")}, "callbacks.ema puts other weights into"),
    "a callback that reads the stop": (
        {"callbacks.mine": node("mine.Callback")}, "callbacks.mine is declared to read the stop"),
    "no keeper": ({MC: None}, "no callback keeps its checkpoints, and exactly one can be followed"),
    "two keepers": (
        {"callbacks.other": node("keepbest.ModelCheckpoint", **KEEPER)},
        "2 callbacks keep its checkpoints, and exactly one can be followed"),
    "a second keeper in the trainer": (
        {"trainer.callbacks": [node("mine.BestCheckpointKeeper")]}, "2 callbacks keep its checkpoints"),
    "checkpoints of errors": (
        {"callbacks.dying": node(f"{L}.OnExceptionCheckpoint", dirpath=".")}, "2 callbacks keep its checkpoints"),
    "a keeper of the user's": (
        {MC: node("mine.ModelCheckpoint", **KEEPER)}, "callbacks.model_checkpoint is mine.ModelCheckpoint, which may"),
    "a keeper by position": (
        {f"{MC}._args_": ["/tmp"]}, "callbacks.model_checkpoint is keepbest.ModelCheckpoint, which may keep"),
    "a keeper of something else": (
        {MC: None, "callbacks.mine": node("keepbest.ModelCheckpoint", monitor="train_loss", dirpath=".")},
        "callbacks.mine does not keep by the objective"),
    "a keeper of the other end": (
        {MC: None, "callbacks.mine": node("keepbest.ModelCheckpoint", **{**KEEPER, "mode": "max"})},
        "callbacks.mine does not keep by the objective"),
    "a keeper of the latest": ({f"{MC}.monitor": GONE}, "callbacks.model_checkpoint does not keep by the objective"),
    "a keeper that keeps nothing": ({f"{MC}.save_top_k": 0}, "callbacks.model_checkpoint.save_top_k=0 keeps none of"),
    "a keeper by the clock": (
        {f"{MC}.train_time_interval": node("datetime.timedelta", minutes=1)},
        "callbacks.model_checkpoint.train_time_interval keeps checkpoints by the clock"),
    "a keeper of the last state of each check": (
        {f"{MC}.save_last": True, "trainer.val_check_interval": 0.5},
        "callbacks.model_checkpoint.save_last saves in the middle of an epoch, and no training goes on from there"),
    "a keeper of steps": (
        {f"{MC}.every_n_train_steps": 5}, "model_checkpoint.every_n_train_steps keeps checkpoints of no check"),
    "a keeper in a directory of the machine": (
        {f"{MC}.dirpath": "/data/best"}, "callbacks.model_checkpoint.dirpath puts its checkpoints outside of its dir"),
    "a keeper in a directory above": (
        {f"{MC}.dirpath": "a/../../best"}, "puts its checkpoints outside of its directory"),
    "a keeper in the trainer": (
        {MC: None, "trainer.callbacks": [node("keepbest.ModelCheckpoint", **KEEPER)]},
        "trainer.callbacks[0].dirpath puts its checkpoints outside of its directory"),
    "a keeper far away": ({f"{MC}.dirpath": "s3://bucket/best"}, "puts its checkpoints outside of its directory"),
    "a keeper where the logger wants it": (
        {f"{MC}.dirpath": None, "logger": {"csv": node("lightning.pytorch.loggers.CSVLogger", save_dir=".")}},
        "puts its checkpoints outside of its directory"),
}  # fmt: skip


@pytest.mark.parametrize("changes", TOGETHER.values(), ids=TOGETHER)
def test_a_job_that_may_share_its_training(usual, changes):
    assert why_alone(changed(usual, changes)) is None


@pytest.mark.parametrize(("changes", "reason"), ALONE.values(), ids=ALONE)
def test_a_job_that_must_train_alone_says_why(usual, changes, reason):
    found = why_alone(changed(usual, changes), reads_stop=["mine"] if "read the stop" in reason else [])
    assert found is not None
    assert reason in found


@pytest.mark.parametrize("name", ["mine", "callbacks.mine"])
def test_a_callback_is_declared_by_its_name_or_its_path(usual, name):
    config = changed(usual, {"callbacks.mine": node("mine.Callback"), "callbacks.other": node("mine.Callback")})
    assert why_alone(config, [name]) == "callbacks.mine is declared to read the stop (hydra.sweeper.reads_stop)"
    assert why_alone(config, ["early_stopping", "elsewhere"]) is None


HARMLESS_CALLBACKS = {
    "BackboneFinetuning", "BaseFinetuning", "BasePredictionWriter", "Callback", "DeviceStatsMonitor",
    "GradientAccumulationScheduler", "LambdaCallback", "LearningRateFinder", "LearningRateMonitor", "ModelSummary",
    "ProgressBar", "RichModelSummary", "RichProgressBar", "ThroughputMonitor", "TQDMProgressBar",
}  # fmt: skip


@pytest.mark.parametrize("name", lightning_callbacks.__all__)
def test_every_callback_of_lightning_was_thought_about(usual, name):
    """A new one must be put into one of the two lists before it may share a training."""
    reason = why_alone(changed(usual, {"callbacks.new": node(f"{L}.{name}")}))
    assert (reason is None) == (name in HARMLESS_CALLBACKS)


LOOKED_AT = {
    "callbacks", "check_val_every_n_epoch", "enable_checkpointing", "fast_dev_run", "max_time", "plugins", "strategy",
    "val_check_interval",
}  # fmt: skip
OF_THE_TRAJECTORY = {
    "accelerator", "accumulate_grad_batches", "barebones", "benchmark", "detect_anomaly", "deterministic", "devices",
    "enable_autolog_hparams", "enable_model_summary", "enable_progress_bar", "gradient_clip_algorithm",
    "gradient_clip_val", "inference_mode", "limit_predict_batches", "limit_test_batches", "limit_train_batches",
    "limit_val_batches", "log_every_n_steps", "max_epochs", "max_steps", "min_epochs", "min_steps", "model_registry",
    "num_nodes", "num_sanity_val_steps", "overfit_batches", "precision", "profiler",
    "reload_dataloaders_every_n_epochs", "sync_batchnorm", "use_distributed_sampler",
}  # fmt: skip
GIVEN_BY_KEEPBEST = {"default_root_dir", "logger"}


def test_every_setting_of_the_trainer_was_thought_about():
    settings = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    assert settings == LOOKED_AT | OF_THE_TRAJECTORY | GIVEN_BY_KEEPBEST


def test_every_setting_of_early_stopping_was_thought_about():
    settings = set(inspect.signature(keepbest.EarlyStopping.__init__).parameters) - {"self"}
    assert settings == (MASKED | OF_THE_OBJECTIVE | WATCH.keys() | {"restore_best_weights"}) - {"_target_"}


def test_every_setting_of_the_keeper_was_thought_about():
    settings = set(inspect.signature(keepbest.ModelCheckpoint.__init__).parameters) - {"self"}
    looked_at = {
        "dirpath", "every_n_train_steps", "mode", "monitor", "save_last", "save_top_k", "train_time_interval",
    }  # fmt: skip
    same_in_each_member = {
        "auto_insert_metric_name", "enable_version_counter", "every_n_epochs", "filename", "min_delta",
        "save_best_only", "save_last_every_n_train_steps", "save_on_exception", "save_on_train_epoch_end",
        "save_weights_only", "verbose",
    }  # fmt: skip
    assert settings == looked_at | same_in_each_member
