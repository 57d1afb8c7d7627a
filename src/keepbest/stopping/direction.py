"""Which direction of a metric is the better one, by its name."""

from __future__ import annotations

import re

from keepbest.errors import ConfigError
from keepbest.stopping.comparison import Mode

# Words of metric names as Lightning, torchmetrics, Keras and scikit-learn users write them.
_LOWER_IS_BETTER = frozenset({
    "loss", "error", "err", "mae", "mse", "rmse", "msle", "mape", "smape", "nll", "ce", "bce", "xent", "crossentropy",
    "entropy", "perplexity", "ppl", "kl", "divergence", "wer", "cer", "ter", "fid", "kid", "lpips", "hinge", "brier",
    "ece", "regret", "distance", "hausdorff", "eer", "fpr", "fnr",
})  # fmt: skip
_HIGHER_IS_BETTER = frozenset({
    "acc", "accuracy", "precision", "recall", "f1", "fbeta", "fscore", "auc", "auroc", "roc", "auprc", "ap", "map",
    "iou", "jaccard", "dice", "r2", "bleu", "rouge", "meteor", "psnr", "ssim", "mcc", "kappa", "specificity",
    "sensitivity", "tpr", "tnr", "ndcg", "mrr", "reward", "likelihood", "elbo", "correlation", "pearson", "spearman",
    "similarity",
})  # fmt: skip


def mode_of(monitor: str) -> Mode:
    """Return "min" or "max" for the name of a metric such as `val_loss`, `val/top1_acc` or `valid.MeanSquaredError`.

    The last word that is known decides: a name begins with what was measured on and ends with what was measured.

    Raises:
        ConfigError: when no word of the name is known.
    """
    for word in reversed(_words(monitor)):
        if word in _LOWER_IS_BETTER:
            return "min"
        if word in _HIGHER_IS_BETTER:
            return "max"
    raise ConfigError(
        "mode='auto' needs a metric whose name says which direction is better",
        received=monitor,
        remedy="Give mode='min' or mode='max'",
    )


def _words(name: str) -> list[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name)  # MeanSquaredError
    return [word for word in re.split(r"[^a-z0-9]+", apart.lower()) if word]
