"""What every model promises, whatever its network."""

import math
from functools import partial

import pytest
import torch
from lightning.pytorch import Callback
from omegaconf import OmegaConf

from keepbest.errors import ConfigError
from keepbest.models import MLPClassifier


def batch_of(case):
    return case.data().samples[:]


def test_outputs_have_the_shape_of_the_task_and_the_loss_is_one_finite_number(case):
    model, (inputs, targets) = case.make_sized(), batch_of(case)
    outputs = model(inputs)
    expected = {
        "classification": (23, case.num_outputs),
        "regression": targets.shape,
        "segmentation": (23, case.num_outputs, *case.input_shape[1:]),
    }
    assert outputs.shape == expected[case.task]
    loss = model.training_step((inputs, targets))
    assert loss.shape == ()
    assert loss.isfinite()


def test_the_gradient_reaches_every_parameter(case):
    model = case.make_sized()
    model.training_step(batch_of(case)).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_a_model_can_learn_a_handful_of_samples_by_heart(case):
    model, (inputs, targets) = case.make_sized(), case.data(samples=4).samples[:]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        loss = model.training_step((inputs, targets))
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    decisions = model.predict_step((inputs, targets))
    assert torch.allclose(decisions.float(), targets.float(), atol=0.5)


def test_sizes_come_from_the_data_module_and_stay_in_the_checkpoint(case, make_trainer, tmp_path):
    model, trainer = case.make(), make_trainer()
    assert list(model.parameters()) == []
    trainer.fit(model, datamodule=case.data())
    trainer.save_checkpoint(tmp_path / "model.ckpt")

    reopened = case.model.load_from_checkpoint(tmp_path / "model.ckpt")
    assert reopened.hparams["input_shape"] == list(case.input_shape)
    assert reopened.hparams["num_outputs"] == case.num_outputs
    inputs, _ = batch_of(case)
    assert torch.equal(reopened.eval()(inputs), model.eval()(inputs))


def test_given_sizes_build_the_network_at_once(case):
    first, second = case.make_sized(), case.make_sized()
    second.load_state_dict(first.state_dict())
    inputs, _ = batch_of(case)
    assert torch.equal(first.eval()(inputs), second.eval()(inputs))


def test_fit_validate_and_test_build_the_network_only_once(classification, make_trainer):
    model, data, trainer = classification.make(), classification.data(), make_trainer()
    trainer.fit(model, datamodule=data)
    network = model.network
    trainer.validate(model, datamodule=data, verbose=False)
    trainer.test(model, datamodule=data, verbose=False)
    assert model.network is network


def test_one_given_size_is_kept_and_the_other_is_read(classification, make_trainer):
    model = classification.make(num_outputs=7)
    make_trainer().validate(model, datamodule=classification.data(), verbose=False)
    assert model.hparams["num_outputs"] == 7
    assert model.hparams["input_shape"] == [1, 4, 4]


@pytest.mark.parametrize("given", [{}, {"input_shape": [1, 4, 4]}, {"num_outputs": 3}])
def test_a_data_module_without_sizes_is_told_what_to_set(classification, make_trainer, given):
    data = classification.data()
    data.setup = lambda stage: None
    with pytest.raises(ConfigError, match=r"got 'RandomData'. Set model.input_shape and model.num_outputs"):
        make_trainer().fit(classification.make(**given), datamodule=data)


def test_loaders_without_a_data_module_are_told_what_to_set(classification, make_trainer):
    with pytest.raises(ConfigError, match=r"got 'no data module'. Set model.input_shape and model.num_outputs"):
        make_trainer().fit(classification.make(), classification.data().train_dataloader())


def test_a_network_of_unknown_size_cannot_be_called(classification):
    with pytest.raises(ConfigError, match=r"no network before its sizes are known\. Give it input_shape"):
        classification.make()(torch.zeros(1, 16))


def test_hyperparameters_are_plain_even_from_a_config_object():
    config = OmegaConf.create({"hidden_sizes": [8, 4], "input_shape": [1, 4, 4]})
    model = MLPClassifier(hidden_sizes=config.hidden_sizes, input_shape=config.input_shape, num_outputs=3)
    assert {name: type(value) for name, value in model.hparams.items()} == {
        "hidden_sizes": list,
        "dropout": float,
        "input_shape": list,
        "num_outputs": int,
        "scheduler_interval": str,
        "monitor": type(None),
    }


def test_checkpoints_hold_nothing_that_a_safe_load_refuses(case, make_trainer, tmp_path):
    trainer = make_trainer()
    trainer.fit(case.make(), datamodule=case.data())
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    assert torch.serialization.get_unsafe_globals_in_checkpoint(tmp_path / "model.ckpt") == []
    assert torch.load(tmp_path / "model.ckpt", weights_only=True)["hyper_parameters"]["input_shape"]


def test_validating_twice_gives_the_same_bits(case, make_trainer):
    model, data, trainer = case.make(), case.data(), make_trainer()
    trainer.fit(model, datamodule=data)
    fitted = {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val_")}
    first, second = (trainer.validate(model, datamodule=data, verbose=False)[0] for _ in range(2))
    assert first == second == {name: value.item() for name, value in fitted.items()}


METRICS = {"classification": {"acc"}, "regression": {"mae", "r2"}, "segmentation": {"iou"}}


def test_loss_and_metrics_are_logged_once_an_epoch_under_the_stage_s_prefix(case, make_trainer):
    model, trainer = case.make(), make_trainer()
    trainer.fit(model, datamodule=case.data())
    names = {"loss", *METRICS[case.task]}
    assert set(trainer.callback_metrics) == {f"{stage}_{name}" for stage in ("train", "val") for name in names}
    trainer.test(model, datamodule=case.data(), verbose=False)
    assert set(trainer.callback_metrics) == {f"test_{name}" for name in names}


def test_an_epoch_s_loss_weighs_every_sample_alike_and_the_sanity_check_is_not_in_it(case, make_trainer):
    model = case.make(optimizer=partial(torch.optim.SGD, lr=0.0))
    trainer = make_trainer(max_epochs=2, num_sanity_val_steps=2)  # 23 samples in batches of 5, the last one of 3
    trainer.fit(model, datamodule=case.data())
    inputs, targets = batch_of(case)
    with torch.no_grad():
        loss = model.loss(model.eval()(inputs), targets).item()
    assert trainer.callback_metrics["val_loss"].item() == pytest.approx(loss, rel=1e-5)
    assert trainer.callback_metrics["train_loss"].item() == pytest.approx(loss, rel=1e-5)


def test_a_loss_that_is_not_finite_is_logged_as_it_is(classification, make_trainer):
    model = classification.make_sized()
    torch.nn.init.constant_(model.network[-1].bias, math.nan)
    (metrics,) = make_trainer().validate(model, datamodule=classification.data(), verbose=False)
    assert math.isnan(metrics["val_loss"])


def test_a_run_resumes_from_a_checkpoint_of_the_validation_that_ends_an_epoch(classification, make_trainer, tmp_path):
    class SaveAtValidation(Callback):
        def on_validation_end(self, trainer, model):
            trainer.save_checkpoint(tmp_path / "validated.ckpt")

    def train(callbacks, **resume):
        model, trainer = classification.make_sized(), make_trainer(max_epochs=2, callbacks=callbacks)
        trainer.fit(model, datamodule=classification.data(), **resume)
        return trainer.callback_metrics

    train([SaveAtValidation()])
    metrics = train([], ckpt_path=tmp_path / "validated.ckpt", weights_only=True)
    assert "train_loss" not in metrics  # the epoch had no batch left; there is nothing to say about it


def test_predictions_need_no_targets_and_are_decisions(case, make_trainer):
    model = case.make()
    inputs, targets = batch_of(case)
    decisions = torch.cat(make_trainer().predict(model, datamodule=case.data()))
    assert decisions.shape == targets.shape
    assert decisions.dtype == targets.dtype
    assert torch.allclose(decisions, model.eval().predict_step(inputs))
