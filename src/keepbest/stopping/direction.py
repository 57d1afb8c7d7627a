"""Which direction of a metric is the better one, by its name."""

from __future__ import annotations

import re

from keepbest.errors import ConfigError
from keepbest.stopping.comparison import Mode

# Words of metric names as Lightning, torchmetrics, Keras and scikit-learn users write them.
_LOWER_IS_BETTER = frozenset({
    "loss", "logloss", "error", "err", "mae", "mse", "rmse", "msle", "rmsle", "mape", "smape", "wape", "mase", "crps",
    "nll", "ce", "bce", "xent", "crossentropy", "entropy", "perplexity", "ppl", "bpc", "bpd", "kl", "divergence",
    "wer", "cer", "ter", "fid", "kid", "lpips", "dists", "hinge", "brier", "ece", "regret", "distance", "hausdorff",
    "eer", "fpr", "fnr",
})  # fmt: skip
_HIGHER_IS_BETTER = frozenset({
    "acc", "accuracy", "precision", "recall", "f1", "f1score", "fbeta", "fscore", "auc", "auroc", "roc", "auprc", "ap",
    "map", "iou", "miou", "jaccard", "dice", "r2", "bleu", "rouge", "chrf", "meteor", "psnr", "ssim", "snr", "sdr",
    "mcc", "matthews", "kappa", "specificity", "sensitivity", "tpr", "tnr", "ndcg", "mrr", "reward", "likelihood",
    "elbo", "corr", "correlation", "pearson", "spearman", "similarity", "explained",
})  # fmt: skip
# Names that mean the opposite of their last word: a likelihood turned over, and two distances.
_LOWER_IS_BETTER_PHRASES = (
    "neg_log_likelihood", "negative_log_likelihood", "perceptual_image_patch_similarity",
    "structure_and_texture_similarity",
)  # fmt: skip
# Words that may turn over what the others say (scikit-learn's `neg_log_loss`), or make another quantity of it.
_MAY_TURN_OVER = frozenset({
    "neg", "negative", "inverse", "minus", "to", "gap", "std", "var", "drop", "delta", "diff", "change", "improvement",
    "reduction", "gain", "skill", "ratio", "relative", "time", "num", "count",
})  # fmt: skip


def mode_of(monitor: str) -> Mode:
    """Return "min" or "max" for the name of a metric such as `val_loss`, `val/top1_acc` or `valid.MeanSquaredError`.

    The last word that is known decides: a name begins with what was measured on and ends with what was measured. A
    number behind a word does not matter (`acc1`, `mAP50`).

    Raises:
        ConfigError: when no word of the name is known, or one may turn over what the others say (`neg_log_loss`).
    """
    words = _words(monitor)
    if any(phrase in "_".join(words) for phrase in _LOWER_IS_BETTER_PHRASES):
        return "min"
    if _MAY_TURN_OVER.intersection(words):
        words = []
    for word in reversed(words):
        forms = {word, word.rstrip("0123456789")}
        if forms & _LOWER_IS_BETTER:
            return "min"
        if forms & _HIGHER_IS_BETTER:
            return "max"
    raise ConfigError(
        "mode='auto' needs a metric whose name says which direction is better",
        received=monitor,
        remedy="Give mode='min' or mode='max'",
    )


def _words(name: str) -> list[str]:
    apart = _NEW_WORD.sub("_", name.replace("IoU", "Iou").replace("FBeta", "Fbeta"))
    return [word for word in re.split(r"[^a-z0-9]+", apart.lower()) if word]


# MeanSquaredError, BinaryAUROC, BLEUScore
_NEW_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
