"""What people write without Beam: tf.data decodes and resizes, TFRecordWriter writes."""

from __future__ import annotations

import argparse
from pathlib import Path

import tensorflow as tf


def image(path: tf.Tensor, side: int) -> tf.Tensor:
    """Returns the JPEG of a resized picture."""
    decoded = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    resized = tf.image.resize(decoded, (side, side), antialias=True)
    levels = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    return tf.io.encode_jpeg(levels, quality=95)


def serialised(data: bytes, label: int, key: bytes) -> bytes:
    """Returns an Example."""
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[data])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[key])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def main() -> None:
    from benchmarks import datasets
    from benchmarks.harness import compare

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--shards", type=int, default=8)
    flags = parser.parse_args()
    flags.output.mkdir(parents=True)
    paths = [str(path) for path in datasets.listed(flags.input)]
    stream = tf.data.Dataset.from_tensor_slices(paths).map(
        lambda path: (image(path, flags.side), path), num_parallel_calls=tf.data.AUTOTUNE
    )
    stream = stream.ignore_errors().prefetch(tf.data.AUTOTUNE)
    names = [flags.output / f"plain-{i:05d}.tfrecord" for i in range(flags.shards)]
    writers = [tf.io.TFRecordWriter(str(name)) for name in names]
    count = 0
    for data, path in stream.as_numpy_iterator():
        writers[count % flags.shards].write(serialised(data, 0, path))
        count += 1
    for writer in writers:
        writer.close()
    compare.report(pictures=count)


if __name__ == "__main__":
    main()
