"""Arguments that cannot work are refused where they are given, with the rule and the value."""

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule

from keepbest.errors import ConfigError
from keepbest.models import CNNClassifier, MLPClassifier, MLPRegressor, UNetSegmenter
from keepbest.models.sizes import MODELS_FOR

REFUSED = [
    (MLPClassifier, {"hidden_sizes": [8, 0]}, r"hidden_sizes\[1\] must be a whole number of at least 1, got 0"),
    (MLPClassifier, {"hidden_sizes": [8.5]}, r"hidden_sizes\[0\] must be a whole number of at least 1, got 8.5"),
    (MLPClassifier, {"hidden_sizes": [True]}, r"hidden_sizes\[0\] must be a whole number of at least 1, got True"),
    (MLPClassifier, {"hidden_sizes": 8}, r"hidden_sizes must be a list of whole numbers, got 8. Write it as \[64,32\]"),
    (MLPRegressor, {"hidden_sizes": "64"}, r"hidden_sizes must be a list of whole numbers, got '64'"),
    (MLPClassifier, {"dropout": 1.0}, r"dropout must be a number of at least 0 and below 1, got 1.0"),
    (MLPRegressor, {"dropout": -0.1}, r"dropout must be a number of at least 0 and below 1, got -0.1"),
    (CNNClassifier, {"dropout": float("nan")}, r"dropout must be a number of at least 0 and below 1, got nan"),
    (CNNClassifier, {"channels": []}, r"channels must name at least one block, got \[\]"),
    (CNNClassifier, {"channels": [-4]}, r"channels\[0\] must be a whole number of at least 1, got -4"),
    (UNetSegmenter, {"base_channels": 0}, r"base_channels must be a whole number of at least 1, got 0"),
    (UNetSegmenter, {"depth": "2"}, r"depth must be a whole number of at least 1, got '2'"),
    (MLPClassifier, {"input_shape": [0]}, r"input_shape\[0\] must be a whole number of at least 1, got 0"),
    (MLPClassifier, {"num_outputs": 0}, r"num_outputs must be a whole number of at least 1, got 0"),
    (MLPClassifier, {"scheduler_interval": "batch"}, r"scheduler_interval must be epoch or step, got 'batch'"),
    (MLPClassifier, {"optimizer": {"lr": 1}}, r"optimizer must be a function that makes one, got 'dict'.*_partial_"),
    (MLPClassifier, {"scheduler": "cosine"}, r"scheduler must be a function that makes one, got 'str'.*_partial_"),
    (CNNClassifier, {"input_shape": [30], "num_outputs": 2}, r"CNNClassifier needs images .*, got \[30\].*model=mlp"),
    (UNetSegmenter, {"input_shape": [8, 8], "num_outputs": 2}, r"UNetSegmenter needs images of .*, got \[8, 8\]"),
    (
        UNetSegmenter,
        {"depth": 3, "input_shape": [1, 8, 12], "num_outputs": 2},
        r"divisible by 2\*\*depth, which is 8, got \[8, 12\]. Set model.depth to at most 2",
    ),
    (UNetSegmenter, {"input_shape": [1, 7, 8], "num_outputs": 2}, r"got \[7, 8\]. Pad or resize the images"),
]


@pytest.mark.parametrize(("model", "arguments", "message"), REFUSED, ids=lambda value: getattr(value, "__name__", None))
def test_what_cannot_work_is_refused(model, arguments, message):
    with pytest.raises(ConfigError, match=message):
        model(**arguments)


def test_no_hidden_layer_is_a_linear_model():
    model = MLPClassifier(hidden_sizes=[], input_shape=[2, 3], num_outputs=4)
    assert [parameter.shape for parameter in model.parameters()] == [(4, 6), (4,)]


def test_sizes_counted_by_numpy_become_plain_ints():
    model = MLPClassifier(input_shape=np.zeros((2, 3)).shape, num_outputs=np.int64(4))
    assert type(model.hparams["num_outputs"]) is int


@pytest.mark.parametrize(("pixels", "blocks"), [((1, 1), 3), ((5, 2), 4)])
def test_a_cnn_may_have_more_blocks_than_its_images_have_halvings(pixels, blocks):
    model = CNNClassifier(channels=[4] * blocks, input_shape=[1, *pixels], num_outputs=3)
    assert model(torch.zeros(1, 1, *pixels)).shape == (1, 3)


def test_data_for_another_task_is_refused_with_the_models_that_suit_it(case, make_trainer):
    for other in MODELS_FOR.keys() - {case.task}:
        data = case.data()
        data.task = other
        with pytest.raises(ConfigError, match=f"but RandomData is for {other}. Choose {MODELS_FOR[other]}"):
            make_trainer().fit(case.make_sized(), datamodule=data)


def test_the_models_named_for_a_task_are_the_ones_that_learn_it():
    targets = {"mlp": MLPClassifier, "cnn": CNNClassifier, "regressor": MLPRegressor, "unet": UNetSegmenter}
    named = {(name, task) for task, text in MODELS_FOR.items() for name in targets if f"model={name}" in text}
    assert named == {(name, model.task) for name, model in targets.items()}


@pytest.mark.parametrize("task", [None, "sentiment"])
def test_a_data_module_that_knows_nothing_of_keepbest_is_taken_on_trust(classification, make_trainer, task):
    class Foreign(LightningDataModule):
        def train_dataloader(self):
            return classification.data().train_dataloader()

    data = Foreign()
    data.task = task
    trainer = make_trainer()
    trainer.fit(classification.make_sized(), datamodule=data)
    assert trainer.global_step > 0
