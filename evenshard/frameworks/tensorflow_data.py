"""A data set as (images, labels) batches of `tf.data`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfrecords.cli import flags, values
from tfrecords.errors import EvenshardWarning, UsageError
from trainer.choices import AUTO_AUGMENT, WITHOUT_FLIPS
from trainer.config import TrainConfig
from trainer.data import augment as augmentations
from trainer.data import mirror
from trainer.data.selection import Source
from trainer.data.stream import Augment, Batch, steps_per_epoch, stream_source, training_stream
from trainer.data.version import DataVersion, ReplacedDataError

# These mix two pictures, so that a label is a share of each.
_MIXING = {"mixup", "cutmix"}


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """How a split is streamed.

    Attributes:
      batch_size: records a batch.
      augment: names of augmentations, or "auto"; None for nothing.
      shuffle: a new order each epoch.
      seed: of order and augmentation.
      epochs: passes over the records.
      cache: "none", "encoded" or "decoded".

    Raises:
      UsageError: a value out of range.
    """

    batch_size: int
    augment: str | Sequence[str] | None = None
    shuffle: bool = True
    seed: int = 0
    epochs: int = 1
    cache: str = "none"

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "batch_size", values.whole_number(self.batch_size))
        except ValueError as error:
            raise UsageError(f"batch_size={flags.shown(self.batch_size)}: {error}") from error
        if not isinstance(self.shuffle, bool):
            raise UsageError(
                f"shuffle={flags.shown(self.shuffle)}: True or False is expected; how many "
                "records are mixed follows from their size"
            )
        if self.batch_size < 1:
            raise UsageError(f"batch_size={self.batch_size} must be at least 1")
        if not self.shuffle and (self.augment or self.cache != "none"):
            raise UsageError("augment and cache need shuffle=True")


def stream(source: Source, options: StreamOptions, version: DataVersion) -> tf.data.Dataset:
    """Returns (uint8[b, height, width, 3], int32[b]) batches; shares for labels where mixed.

    Where the data set is replaced, iteration ends in an `InvalidArgumentError` with the text of a
    `ReplacedDataError`, and no batch before it holds anything of the new one; in a bucket that is
    found at the end of each epoch only.

    Args:
      source: the selected records.
      options: how they are streamed.
      version: of the data set.

    Raises:
      UsageError: a value that the trainer would refuse too.
      ReplacedDataError: the data set has been replaced since it was opened.
    """
    with version.reading():
        pairs = _pairs(source, options)
    if options.cache != "none":
        return pairs
    return _stopping(pairs, version, steps_per_epoch(source, options.batch_size))


def _pairs(source: Source, options: StreamOptions) -> tf.data.Dataset:
    """Returns the batches of `stream`."""
    # Its checks and its defaults are those of a training run.
    config = TrainConfig(
        data_dir=str(source.data_dir),
        run_dir=".",
        epochs=options.epochs,
        batch_size=options.batch_size,
        # The field is a tuple; the configuration makes one of text, too.
        augment=() if options.augment is None else options.augment,  # type: ignore[arg-type]
        seed=options.seed,
        cache=options.cache,
    )
    batches = steps_per_epoch(source, config.fixed_batch_size) * config.epochs
    if not options.shuffle:
        once = stream_source(source, config.fixed_batch_size)
        again = once.map(lambda images, labels, ids: (images, labels)).repeat(config.epochs)
        return again.apply(tf.data.experimental.assert_cardinality(batches))
    config = _without_wrong_flips(config, source)
    augment: Augment | None = augmentations.build(config)
    whole = training_stream(
        source,
        config.fixed_batch_size,
        config.epochs,
        config.seed,
        augment=augment,
        cache=config.cache,
        shuffle_buffer_mb=config.shuffle_buffer_mb,
    )
    mixed = bool(_MIXING & set(config.augmentations))
    classes = len(source.selection.classes)

    def pair(batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        labels = _shares(batch, classes) if mixed else batch.labels
        # An epoch's last batch is filled up for the trainer with repeats that weigh nothing.
        images, labels = batch.images[: _present(batch)], labels[: _present(batch)]
        return tf.ensure_shape(images, (None, *source.size, 3)), labels

    pairs = whole.map(pair, num_parallel_calls=tf.data.AUTOTUNE)
    return pairs.apply(tf.data.experimental.assert_cardinality(batches))


def _without_wrong_flips(config: TrainConfig, source: Source) -> TrainConfig:
    """Returns the configuration as a training has it: "auto" flips only where classes keep apart.

    Warns where it does not flip.
    """
    if config.augment != (AUTO_AUGMENT,):
        return config
    exchange = mirror.exchanged(source)
    if exchange is None:
        return config
    text = exchange.describe().replace("--augment=flip,crop", 'augment="flip,crop"')
    warnings.warn(text, EvenshardWarning, stacklevel=5)
    return config.with_augment(WITHOUT_FLIPS)


def _stopping(batches: tf.data.Dataset, version: DataVersion, steps: int) -> tf.data.Dataset:
    """Returns the same batches until the data set is replaced.

    Args:
      batches: read before they come here, so that a look at the files covers each.
      version: of the data set.
      steps: batches of an epoch.
    """

    def change(number: np.ndarray) -> bytes:
        try:
            version.check_quickly()
            if (number + 1) % steps == 0:
                version.check()
        except ReplacedDataError as error:
            return str(error).encode()
        return b""

    def checked(number: tf.Tensor, pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        reason = tf.ensure_shape(tf.numpy_function(change, [number], tf.string), ())
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(reason, ""), [reason])]):
            return tuple(map(tf.identity, pair))

    return batches.enumerate().map(checked)


def _present(batch: Batch) -> tf.Tensor:
    return tf.math.count_nonzero(batch.weight, dtype=tf.int32)


def _shares(batch: Batch, classes: int) -> tf.Tensor:
    """Returns float32[b, classes], each class's share of each picture."""
    share = batch.share[:, tf.newaxis]
    return share * tf.one_hot(batch.labels, classes) + (1 - share) * tf.one_hot(
        batch.partners, classes
    )
