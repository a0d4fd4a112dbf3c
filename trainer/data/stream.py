"""Streams the selected records of a split as batches of pixels.

    manifest ─► Selection ─► records of an epoch ─► batch ─► parse ─► decode ─► augment ─► prefetch

Records that are not selected are dropped by label, rank and copy number before they are
decoded. Records stay serialised through the shuffle, so that it moves one string each and not
an image, a label and an id. Their order is a function of (seed, epoch, position): a stream can
start at any (epoch, step) and gives what an unbroken one gives from there on.

Pixels are uint8 on the host; they become float on the device, inside the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrecords import framing, schema
from tfrecords.errors import TrainerError
from tfrecords.folds import FoldRanks
from tfrecords.locations import Folder
from tfrecords.manifest import Manifest
from tfrecords.schema import Encoding
from tfrecords.sharding import stable_hash
from trainer import remote
from trainer.data.record_pixels import baked_size, decoder
from trainer.data.selection import Selection, Source, open_split
from trainer.devices import global_seed

# Records are filtered this many at a time: parsing one by one costs 20 times more.
FILTER_BATCH = 256

# Pixels are decoded into a cache this many at a time.
CACHE_BATCH = 256

# Records taken from one shard before the next: enough that a reader does not switch shards at
# each record, few enough that neighbours in a shard are separated.
INTERLEAVE_BLOCK = 16

# On gs:// it is filled from TensorFlow's own read-ahead: see `trainer.tensorflow_import`.
_READ_BUFFER_BYTES = 1 << 20

# Read ahead of each open shard in a bucket: 0.2 s, the time of the next request for 8 MB, at
# 20 MB/s.
_FAR_AHEAD_BYTES = 4 << 20

# `Dataset.shuffle` takes its seeds modulo this; orders stay those of earlier versions.
_SHUFFLE_SEEDS = 2**31 - 1

_FEATURES = {
    schema.IMAGE: tf.io.FixedLenFeature([], tf.string),
    schema.LABEL: tf.io.FixedLenFeature([], tf.int64),
    schema.ID: tf.io.FixedLenFeature([], tf.string),
}
# The features that decide whether a record is selected; the image is skipped, not copied.
_SELECTION_FEATURES = {
    schema.LABEL: tf.io.FixedLenFeature([], tf.int64),
    schema.RANK: tf.io.FixedLenFeature([], tf.int64),
    schema.COPY: tf.io.FixedLenFeature([], tf.int64),
}


class Records(NamedTuple):
    """Selected records, B of them.

    Attributes:
      image: string[B], encoded bytes; or uint8[B, height, width, 3] once decoded.
      label: int32[B], renumbered by the selection.
      id: string[B].
    """

    image: tf.Tensor
    label: tf.Tensor
    id: tf.Tensor


class Batch(NamedTuple):
    """What one training step takes. All of an epoch's batches have one size, B.

    Attributes:
      images: uint8[B, height, width, 3].
      labels: int32[B].
      partners: int32[B]; the label of the picture mixed in, else equal to `labels`.
      share: float32[B], 0 to 1: the part of the picture that is of `labels`.
      weight: float32[B]; 0 for the repeats that fill an epoch's last batch, else 1.
      choices: what the step is to do to `images`, `on_device.Choices`; () where that is done.
    """

    images: tf.Tensor
    labels: tf.Tensor
    partners: tf.Tensor
    share: tf.Tensor
    weight: tf.Tensor
    choices: tuple[Any, ...] = ()


# (images uint8[B, H, W, 3], labels int32[B], seed int32[2]) → (images, partners, share), and the
# choices where the step augments
Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[Any, ...]]


def training_stream(
    source: Source,
    batch_size: int,
    epochs: int,
    seed: int,
    augment: Augment | None = None,
    start: tuple[int, int] = (0, 0),
    cache: str = "none",
    shuffle_buffer_mb: int = 256,
    stack: int = 1,
) -> tf.data.Dataset:
    """Returns the batches of epochs `start[0]` to `epochs - 1`, from step `start[1]` on.

    Each epoch holds every selected record exactly once, in `steps_per_epoch` batches.

    Args:
      source: from `open_split`.
      batch_size: records a batch.
      epochs: of the whole run.
      seed: of the run; `tf.random.set_seed` changes nothing.
      augment: applied to whole batches; None for nothing.
      start: (epoch, step) to begin at.
      cache: "none" streams from disk; "encoded" and "decoded" hold the records in memory.
      shuffle_buffer_mb: encoded bytes that "none" shuffles from.
      stack: batches given at once, with a leading axis where more than 1; an epoch's last
        stack may be shorter.

    Returns:
      A data set of `Batch`.
    """
    of_epoch = epoch_batches(source, batch_size, seed, augment, cache, shuffle_buffer_mb, stack)

    numbers = np.arange(start[0], epochs, dtype=np.int64)
    steps = np.zeros_like(numbers)
    steps[:1] = start[1]
    orders, keys = zip(*(order_and_key(source, seed, int(n)) for n in numbers), strict=True)
    stream = tf.data.Dataset.from_tensor_slices((steps, np.stack(orders), np.stack(keys)))
    stream = stream.flat_map(of_epoch)  # Batch
    return stream.with_options(stream_options()).prefetch(tf.data.AUTOTUNE)


def order_and_key(source: Source, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns int64[files], the order of an epoch's shards, and int32[2], its random key."""
    order = _file_order(len(source.files), seed, epoch)
    return order.astype(np.int64), np.asarray(_key(seed, epoch), np.int32)


def buffered_records(source: Source, shuffle_buffer_mb: int) -> int:
    """Returns how many records of a split a shuffle buffer holds."""
    mean_bytes = max(1, source.split.bytes // max(1, source.split.records))
    return max(1, min(source.records, shuffle_buffer_mb * 10**6 // mean_bytes))


def evaluation_stream(
    manifest: Manifest,
    data_dir: str | Folder,
    split: str,
    selection: Selection,
    image_size: tuple[int, int] | None,
    batch_size: int,
) -> tf.data.Dataset:
    """Returns a split's selected originals once, in the order of its shards, unaugmented.

    Returns:
      A data set of (uint8[b, height, width, 3], int32[b] labels, string[b] ids), b at most
      `batch_size`; labels count within the selection.

    Raises:
      As `open_split`.
    """
    source = open_split(manifest, data_dir, split, selection.natural(), image_size)
    return stream_source(source, batch_size)


def stream_source(source: Source, batch_size: int) -> tf.data.Dataset:
    """Returns `evaluation_stream` of a split that is open already."""
    batches = _decoded(_stored_records(source, batch_size), source, batch_size)
    stream = batches.map(lambda records: (records.image, records.label, records.id))
    return stream.with_options(stream_options()).prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(source: Source, batch_size: int) -> int:
    """Returns the number of batches that hold every selected record once."""
    return math.ceil(source.records / batch_size)


def explain(error: Exception, source: Source) -> TrainerError:
    """Returns the error of a split that failed to stream; it names the shard and the byte.

    Args:
      error: raised by TensorFlow.
      source: being read. Every record of it is checked, which takes a while.
    """
    advice = "bake again, or restore the file; `evenshard verify` checks them all"
    for path in source.shard_paths:
        try:
            for _ in framing.read_records(path):
                pass
        except (framing.DamagedRecordError, OSError) as damage:
            return TrainerError(f"{damage}: {advice}")
    reason = str(error).strip().splitlines()[0]
    return TrainerError(f"cannot read split {source.split.name!r}: {reason}: {advice}")


# (file order, key, records to skip) → batches of an epoch's `Records`
_EpochRecords = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.data.Dataset]


def epoch_batches(
    source: Source,
    batch_size: int,
    seed: int,
    augment: Augment | None,
    cache: str,
    shuffle_buffer_mb: int,
    stack: int,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.data.Dataset]:
    """Returns a function from (first step, file order, key) to the batches of an epoch."""
    if cache == "none":
        buffer = buffered_records(source, shuffle_buffer_mb)
        records = _streamed_records(source, batch_size, buffer, seed)
    else:
        records = _cached_records(source, batch_size, decoded=cache == "decoded")

    def batches(step: tf.Tensor, order: tf.Tensor, key: tf.Tensor) -> tf.data.Dataset:
        of_epoch = records(order, key, step * batch_size)
        if cache != "decoded":
            of_epoch = _decoded(of_epoch, source, batch_size)
        finish = _finisher(batch_size, augment, key)
        finished = of_epoch.enumerate(step).map(finish, num_parallel_calls=tf.data.AUTOTUNE)
        return finished if stack == 1 else finished.batch(stack)

    return batches


def _streamed_records(source: Source, batch_size: int, buffer: int, seed: int) -> _EpochRecords:
    """Reads shards in a new order each epoch and shuffles within a buffer of records."""
    of_run = tf.constant(global_seed(seed), tf.int64)

    def records(order: tf.Tensor, key: tf.Tensor, skip: tf.Tensor) -> tf.data.Dataset:
        files = tf.gather(tf.constant(source.files), order)
        read = _read(source, tf.data.Dataset.from_tensor_slices(files))
        shuffled = _shuffled(read, buffer, of_run, tf.cast(key[0], tf.int64))
        return _parsed(shuffled.skip(skip), source, batch_size)

    return records


def _shuffled(
    dataset: tf.data.Dataset, buffer: int, seed: tf.Tensor, seed2: tf.Tensor
) -> tf.data.Dataset:
    """Returns strings in an order that is a function of both seeds, int64, alone.

    `Dataset.shuffle` has the seed of `tf.random.set_seed` for the first, which a program sets as it
    likes, as may the network that it trains; where that is 0, it fails.
    """
    variant = tf.raw_ops.ShuffleDatasetV3(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=tf.constant(buffer, tf.int64),
        seed=seed % _SHUFFLE_SEEDS,
        seed2=seed2 % _SHUFFLE_SEEDS,
        seed_generator=tf.raw_ops.DummySeedGenerator(),
        reshuffle_each_iteration=False,
        output_types=[tf.string],
        output_shapes=[[]],
    )
    return tf.data.experimental.from_variant(variant, dataset.element_spec)


def _cached_records(source: Source, batch_size: int, *, decoded: bool) -> _EpochRecords:
    """Holds the selection in memory; each epoch is a permutation of all of it."""
    table = _load(source, decoded=decoded)

    def records(order: tf.Tensor, key: tf.Tensor, skip: tf.Tensor) -> tf.data.Dataset:
        del order  # The whole selection is shuffled, not files.

        def pick(positions: tf.Tensor) -> Records:
            index = tf.random.experimental.index_shuffle(positions, key, source.records - 1)
            return Records(*(tf.gather(column, index) for column in table))

        positions = tf.data.Dataset.range(skip, source.records).batch(batch_size)
        return positions.map(pick, num_parallel_calls=tf.data.AUTOTUNE)

    return records


def _load(source: Source, *, decoded: bool) -> Records:
    """Returns the whole selection, in the order of its shards."""
    if decoded:
        parts = _decoded(_stored_records(source, CACHE_BATCH), source, CACHE_BATCH)
        whole = parts.unbatch().batch(source.records)
    else:
        whole = _stored_records(source, source.records)
    with tf.device("/CPU:0"):
        return Records(*next(iter(whole.with_options(stream_options()))))


def _stored_records(source: Source, batch_size: int) -> tf.data.Dataset:
    """Returns the selected records in the order of their shards, as batches of `Records`."""
    files = tf.data.Dataset.from_tensor_slices(list(source.files))
    return _parsed(_read(source, files), source, batch_size)


def _read(source: Source, files: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the selected Examples of `files`, serialised; fails if any is missing.

    Shards in a bucket are all read at the same time, each some way ahead. The order of records
    does not depend on it.
    """
    at_once = min(len(source.files), source.read_parallelism)
    distant = remote.is_far(source.data_dir)
    ahead = max(1, _FAR_AHEAD_BYTES * source.split.records // max(1, source.split.bytes))

    def shard(file: tf.Tensor) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(file, buffer_size=_READ_BUFFER_BYTES)
        return records.prefetch(ahead) if distant else records

    stored = files.interleave(
        shard,
        cycle_length=at_once,
        block_length=INTERLEAVE_BLOCK,
        num_parallel_calls=at_once if distant else tf.data.AUTOTUNE,
    )  # serialised Example
    if source.records < source.split.records:
        keep = _filter(source)
        kept = stored.batch(FILTER_BATCH).map(keep, num_parallel_calls=tf.data.AUTOTUNE)
        stored = kept.unbatch()
    return stored.apply(tf.data.experimental.assert_cardinality(source.records))


def _filter(source: Source) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from serialised Examples to those that are selected.

    As `Source.selects`, in TensorFlow.
    """
    selection = source.selection
    new_labels = _new_labels(selection)

    def keep(serialised: tf.Tensor) -> tf.Tensor:
        parsed = tf.io.parse_example(serialised, _SELECTION_FEATURES)
        label = parsed[schema.LABEL]
        known = label < len(new_labels)
        kept = known & (tf.gather(new_labels, tf.where(known, label, 0)) >= 0)
        if source.originals_only:
            kept &= parsed[schema.COPY] == 0
        if source.ranks is not None:
            # Labels of records that are left out may be beyond the tables.
            inside = tf.where(kept, label, selection.labels[0])
            within = _ranks_in_fold(source.ranks, inside, parsed[schema.RANK], parsed[schema.COPY])
            kept &= within < tf.gather(source.limits, inside)
        elif selection.max_rank is not None:
            kept &= parsed[schema.RANK] < selection.max_rank
        return tf.boolean_mask(serialised, kept)

    return keep


def _ranks_in_fold(
    ranks: FoldRanks, label: tf.Tensor, rank: tf.Tensor, copy: tf.Tensor
) -> tf.Tensor:
    """Returns int64[n] of int64[n] each, as `FoldRanks.ranks`."""
    of_original = rank - copy * tf.gather(ranks.totals, label)
    before = tf.searchsorted(
        tf.constant(ranks.held_out, tf.int64), label * ranks.stride + of_original, out_type=tf.int64
    ) - tf.gather(ranks.starts.astype(np.int64), label)
    if ranks.validation:
        return before
    in_train = tf.gather(ranks.totals - ranks.of_fold, label)
    return copy * in_train + of_original - before


def _parsed(serialised: tf.data.Dataset, source: Source, batch_size: int) -> tf.data.Dataset:
    """Returns batches of `Records`, with labels as the selection numbers them."""
    new_labels = _new_labels(source.selection)

    def parse(examples: tf.Tensor) -> Records:
        parsed = tf.io.parse_example(examples, _FEATURES)
        labels = tf.gather(new_labels, parsed[schema.LABEL])
        return Records(parsed[schema.IMAGE], labels, parsed[schema.ID])

    return serialised.batch(batch_size).map(parse, num_parallel_calls=tf.data.AUTOTUNE)


def _new_labels(selection: Selection) -> np.ndarray:
    """Returns int32[n], the label within the selection of each stored one; -1 for none."""
    new_labels = np.full(max(selection.labels) + 1, -1, np.int32)
    new_labels[list(selection.labels)] = np.arange(len(selection.labels))
    return new_labels


def _decoded(batches: tf.data.Dataset, source: Source, batch_size: int) -> tf.data.Dataset:
    """Returns batches of `Records` with pixels for bytes.

    Raw pixels need no decoder: a batch of them is unpacked at once, and copied once less.
    """
    spec = source.spec
    if spec.encoding is Encoding.RAW and spec.fixed_size and baked_size(spec) == source.size:

        def unpack(records: Records) -> Records:
            pixels = tf.io.decode_raw(records.image, tf.uint8)
            return records._replace(image=tf.reshape(pixels, (-1, *source.size, 3)))

        return batches.map(unpack, num_parallel_calls=tf.data.AUTOTUNE)
    decode = decoder(spec, source.size)
    one_by_one = batches.unbatch().map(
        lambda record: record._replace(image=decode(record.image)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return one_by_one.batch(batch_size)


def _finisher(
    batch_size: int, augment: Augment | None, key: tf.Tensor
) -> Callable[[tf.Tensor, Records], Batch]:
    def finish(step: tf.Tensor, records: Records) -> Batch:
        images, labels, weight = _fill(records.image, records.label, batch_size)
        partners, share, choices = labels, tf.ones_like(weight), ()
        if augment is not None:
            step_seed = tf.random.experimental.stateless_fold_in(key, tf.cast(step, tf.int32))
            images, partners, share, *chosen = augment(images, labels, step_seed)
            choices = chosen[0] if chosen else ()
        return Batch(images, labels, partners, share, weight, choices)

    return finish


def _fill(
    images: tf.Tensor, labels: tf.Tensor, batch_size: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Repeats a short batch up to `batch_size`, with weight 0.

    One static shape for every step: nothing is traced or compiled twice, replicas and
    accumulation parts are equal, and each record still counts once.
    """
    present = tf.shape(labels)[0]
    index = tf.range(batch_size)
    weight = tf.cast(index < present, tf.float32)
    full = tf.equal(present, batch_size)
    images = tf.cond(full, lambda: images, lambda: tf.gather(images, index % present))
    labels = tf.gather(labels, index % present)
    return tf.ensure_shape(images, (batch_size, *images.shape[1:])), labels, weight


def _key(seed: int, epoch: int) -> tuple[int, int]:
    """Returns two positive 31-bit numbers, a function of seed and epoch."""
    bits = stable_hash("epoch", seed, epoch)
    return (bits & 0x7FFFFFFF) | 1, (bits >> 32) & 0x7FFFFFFF


def _file_order(files: int, seed: int, epoch: int) -> np.ndarray:
    """Returns int64[files], a permutation that is a function of seed and epoch."""
    rng = np.random.default_rng(stable_hash("files", seed, epoch))
    return rng.permutation(files)


def stream_options() -> tf.data.Options:
    """Returns the options of every stream: a fixed order, and as many parallel calls as cores.

    TensorFlow's autotuning has a thread for each iterator that sleeps for up to a minute. It may
    miss that its iterator is being deleted (the cancellation wakes it before it counts as
    cancelled), and the program waits at the end of an epoch until it wakes up by itself. Without
    it, `AUTOTUNE` means one call for each core, up to 16, and buffers still grow as needed.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    # A batch is for one machine; distributing input over several is left to the caller.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options
