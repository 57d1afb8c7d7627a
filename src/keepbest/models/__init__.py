"""Small, complete models: two classifiers, a regressor and a segmenter. Any other LightningModule serves as well."""

from keepbest.models.cnn import CNNClassifier
from keepbest.models.mlp import MLPClassifier
from keepbest.models.regressor import MLPRegressor
from keepbest.models.unet import UNetSegmenter

__all__ = ["CNNClassifier", "MLPClassifier", "MLPRegressor", "UNetSegmenter"]
