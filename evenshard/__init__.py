"""Balanced TFRecord shards from imbalanced image folders, and classifiers trained on them."""

from tfrecords import __version__

__all__ = ["__version__"]
