"""The mode of a metric, told by its name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import pytest
import torchmetrics

from keepbest.errors import ConfigError
from keepbest.stopping.direction import mode_of

# fmt: off
MIN = [
    "loss", "val_loss", "val/loss", "valid.loss", "Validation Loss", "valLoss", "VAL_LOSS", "val_loss_epoch",
    "val_loss/dataloader_idx_0", "val_acc_loss", "val_CrossEntropyLoss", "MSELoss", "val_logloss", "val_log_loss",
    "val_error", "top1_err", "word_error_rate", "val_mae", "val/mse", "valid_rmse", "val_MeanSquaredError",
    "val_mean_absolute_percentage_error", "MeanAbsoluteError", "val_sparse_categorical_crossentropy", "val_nll",
    "val_neg_log_likelihood", "NegativeLogLikelihood", "val_perplexity", "val_ppl", "val/KLDivergence", "val_wer",
    "FrechetInceptionDistance", "val_fid", "HausdorffDistance", "HammingDistance", "BinaryCalibrationError",
    "val_brier", "val_lpips", "LearnedPerceptualImagePatchSimilarity", "DeepImageStructureAndTextureSimilarity",
]
MAX = [
    "acc", "val_acc", "val/acc", "valid.acc", "val_accuracy", "valAccuracy", "val_acc_epoch",
    "val/acc/dataloader_idx_1", "val/top1_acc", "val_acc1", "val_acc@5", "val_loss_acc", "val_error_recall",
    "MulticlassAccuracy", "val_balanced_accuracy", "val_f1", "val/f1_macro", "val_f1score", "MulticlassF1Score",
    "BinaryFBetaScore", "val_precision", "val_recall@10", "val_auc", "val_roc_auc", "MulticlassAUROC",
    "val_AveragePrecision", "val_mAP", "val_mAP50", "val_iou", "val_mIoU", "MeanIoU", "val/miou", "JaccardIndex",
    "val_dice", "R2Score", "val_r2", "ExplainedVariance", "PearsonCorrCoef", "MatthewsCorrCoef", "CohenKappa",
    "BLEUScore", "ROUGEScore", "val_psnr", "StructuralSimilarityIndexMeasure", "val_ndcg@10", "episode_reward",
    "val_log_likelihood", "val_elbo", "cosine_similarity",
]
# fmt: on


@pytest.mark.parametrize("name", MIN)
def test_lower_is_better(name: str) -> None:
    assert mode_of(name) == "min"


@pytest.mark.parametrize("name", MAX)
def test_higher_is_better(name: str) -> None:
    assert mode_of(name) == "max"


def test_no_name_is_in_the_table_twice() -> None:
    assert len({*MIN, *MAX}) == len(MIN) + len(MAX) >= 30


@pytest.mark.parametrize("name", ["", "val", "score", "val_score", "lr", "epoch", "val_mapped", "glossary", "x1"])
def test_an_unknown_name_is_refused_with_the_remedy(name: str) -> None:
    with pytest.raises(ConfigError, match=f"got {name!r}. Give mode='min' or mode='max'") as refusal:
        mode_of(name)
    assert refusal.value.received == name


@pytest.mark.parametrize("name", ["neg_log_loss", "neg_mean_squared_error", "val_neg_loss", "negative_brier_score"])
def test_a_name_that_may_be_turned_over_is_refused_rather_than_guessed(name: str) -> None:
    """Higher is better for scikit-learn's scorer `neg_log_loss`, lower for a loss of the negative samples."""
    with pytest.raises(ConfigError, match=f"got {name!r}. Give mode='min' or mode='max'"):
        mode_of(name)


def metrics_of_torchmetrics() -> Iterator[type[torchmetrics.Metric]]:
    for module in pkgutil.iter_modules(torchmetrics.__path__):
        if not re.match("_|utilities|functional", module.name):
            members = vars(importlib.import_module(f"torchmetrics.{module.name}")).values()
            yield from {member for member in members if inspect.isclass(member)}


def test_it_never_contradicts_torchmetrics() -> None:
    """A MetricCollection logs its metrics by the names of their classes, and each class says what is better."""
    both_know, contradicting = 0, []
    for metric in metrics_of_torchmetrics():
        better = getattr(metric, "higher_is_better", None)
        try:
            mode = mode_of(f"val_{metric.__name__}")
        except ConfigError:
            continue
        if isinstance(better, bool):
            both_know += 1
            contradicting += [metric.__name__] if (mode == "max") is not better else []
    assert contradicting == []
    assert both_know >= 60
