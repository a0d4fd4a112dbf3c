"""Streams of training batches with TensorFlow: ours, a hand-tuned one, TFDS, and folders.

    python -m benchmarks.baselines.tensorflow_stream KIND FOLDER [--batch=64] [--seconds=10] …

FOLDER is a data set of ours, or class folders for `folders`. Every stream shuffles, decodes
and gives uint8 or float batches of one size; only ours augments.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from benchmarks.harness import pace
from tfrecords import manifest as manifests
from tfrecords.schema import Encoding
from tfrecords.system import allocator, cores
from trainer.data import augment
from trainer.data import selection as selections
from trainer.data import stream as data

BUFFER_BYTES = 256 * 10**6

_FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def ours(flags: argparse.Namespace) -> tf.data.Dataset:
    """The trainer's own stream, by default with its selection of everything."""
    manifest = manifests.load(flags.folder)
    selection = selections.select(
        manifest, num_classes=flags.num_classes, per_class=flags.per_class
    )
    source = selections.open_split(manifest, flags.folder, "train", selection)
    names = tuple(name for name in flags.augment.split(",") if name)
    augmenter = augment.Augmenter(names) if names else None
    if not flags.default_malloc:  # As the trainer.
        allocator.keep_freed(cores.usable())
    # As on a CPU, where the trainer's ops are deterministic.
    tf.config.experimental.enable_op_determinism()
    return data.training_stream(source, flags.batch, 1000, 0, augmenter, cache=flags.cache)


def tuned(flags: argparse.Namespace) -> tf.data.Dataset:
    """The same shards by the guide to tf.data performance: in any order, all that is parallel."""
    manifest = manifests.load(flags.folder)
    split = manifest.split("train")
    names = [str(flags.folder / shard.filename) for shard in split.shards]
    buffer = min(split.records, BUFFER_BYTES * split.records // split.bytes)
    files = tf.data.Dataset.from_tensor_slices(names).shuffle(len(names)).repeat()
    records = files.interleave(
        lambda file: tf.data.TFRecordDataset(file, buffer_size=1 << 20),
        cycle_length=min(8, len(names)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=False,
    ).shuffle(max(1, buffer))
    spec = manifest.image
    if spec.encoding is Encoding.RAW:
        shape = (flags.batch, spec.height, spec.width, 3)

        def parse_batch(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            parsed = tf.io.parse_example(batch, _FEATURES)
            return tf.reshape(tf.io.decode_raw(parsed["image"], tf.uint8), shape), parsed["label"]

        batched = records.batch(flags.batch, drop_remainder=True)
        stream = batched.map(parse_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
    else:

        def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            parsed = tf.io.parse_single_example(record, _FEATURES)
            pixels = tf.io.decode_jpeg(parsed["image"], channels=3)
            return tf.ensure_shape(pixels, (spec.height, spec.width, 3)), parsed["label"]

        decoded = records.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
        stream = decoded.batch(
            flags.batch, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE
        )
    return stream.prefetch(tf.data.AUTOTUNE)


def tfds(flags: argparse.Namespace) -> tf.data.Dataset:
    """The same shards by TFDS, as its guide has it."""
    import tensorflow_datasets

    builder = tensorflow_datasets.builder_from_directory(flags.folder)
    records = builder.as_dataset(split="train", shuffle_files=True, as_supervised=True)
    shuffled = records.shuffle(min(2000, builder.info.splits["train"].num_examples))
    return shuffled.batch(flags.batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def folders(flags: argparse.Namespace) -> tf.data.Dataset:
    """The source files by Keras, which decodes and resizes them anew each epoch."""
    import keras

    made = keras.utils.image_dataset_from_directory(
        flags.folder, image_size=(flags.side, flags.side), batch_size=flags.batch, verbose=False
    )
    return made.prefetch(tf.data.AUTOTUNE)


KINDS: dict[str, Callable[[argparse.Namespace], tf.data.Dataset]] = {
    "ours": ours, "tuned": tuned, "tfds": tfds, "folders": folders,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--side", type=int, default=224, help="of folders")
    parser.add_argument("--augment", default="", help="of ours")
    parser.add_argument("--cache", default="none", help="of ours")
    parser.add_argument("--num_classes", type=int, help="of ours")
    parser.add_argument("--per_class", type=int, help="of ours")
    parser.add_argument("--default_malloc", action="store_true", help="of ours")
    flags = parser.parse_args()
    stream = KINDS[flags.kind](flags)

    def count(batch: object) -> int:
        # Ours pads an epoch's last batch with pictures of weight 0.
        if isinstance(batch, data.Batch):
            return int(batch.weight.numpy().sum())
        return len(batch[0])  # type: ignore[index]  # A pair, (images, labels).

    pace.measure(lambda: iter(stream), count, flags.seconds)


if __name__ == "__main__":
    main()
