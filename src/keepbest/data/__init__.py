"""Data modules that are small, real and complete; they serve as the embedded default and as examples to copy."""

from keepbest.data.breast_cancer import BreastCancer
from keepbest.data.diabetes import Diabetes
from keepbest.data.digits import Digits
from keepbest.data.fashion_mnist import FashionMNIST
from keepbest.data.shapes import Shapes
from keepbest.data.table import CsvTable

__all__ = ["BreastCancer", "CsvTable", "Diabetes", "Digits", "FashionMNIST", "Shapes"]
