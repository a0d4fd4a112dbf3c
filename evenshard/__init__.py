"""Balanced TFRecord shards from imbalanced image folders, and classifiers trained on them."""

__version__ = "0.1.0"
