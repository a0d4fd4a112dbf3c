"""Computes the features of selected records, those that the store lacks, with progress."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrecords import schema
from tfrecords.cli.progress import Progress
from tfrecords.sharding import stable_hash
from trainer import remote
from trainer.data.augment import Augmenter
from trainer.data.record_pixels import decoder
from trainer.data.selection import Source
from trainer.data.stream import stream_options
from trainer.features.backbone import Runtime, Runtimes
from trainer.features.store import FOLDER, FeatureStore

# Records read, and pictures augmented, together. A picture's augmentation is a function of its
# position, whatever is selected beside it: part of what a view is, so it must not change.
BLOCK = 64

_LABELS = {
    schema.LABEL: tf.io.FixedLenFeature([], tf.int64),
    schema.ID: tf.io.FixedLenFeature([], tf.string),
    schema.RANK: tf.io.FixedLenFeature([], tf.int64),
    schema.COPY: tf.io.FixedLenFeature([], tf.int64),
}


@dataclass(frozen=True, eq=False)
class Index:
    """The selected records of a split, in the order of their shards.

    Attributes:
      positions: int64[n], of each among all records of the split.
      labels: int32[n], within the selection.
      ids: of the records.
    """

    positions: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Features:
    """Features and labels of pictures.

    Attributes:
      values: float16[n, channels].
      labels: int32[n], within the selection.
      ids: of the records; a picture that is seen in several views stands there several times.
    """

    values: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Extractor:
    """Computes features with one backbone.

    Attributes:
      backbone: from `backbone_of`.
      network: its digest.
      model_name: --model.
      dataset: digest of the data set.
      runtimes: to compute with.
      fallback: where features go if the data set's folder cannot be written.
      say: shows a line.
      progress: the kind of progress.
      stopped: whether to stop early.
    """

    backbone: keras.Model
    network: str
    model_name: str
    dataset: str
    runtimes: Runtimes
    fallback: Path
    say: Callable[[str], None]
    progress: str
    stopped: Callable[[], bool]

    def features(
        self, source: Source, index: Index, augment: Augmenter | None = None, view: tuple = ()
    ) -> Features | None:
        """Returns the features of the indexed records; computes those that are not stored.

        Args:
          source: of the split.
          index: of its records.
          augment: applied to the pictures; None for none.
          view: with `augment`, numbers that the random draws are a function of.

        Returns:
          The features, or None if it was stopped before they were whole.

        Raises:
          TrainerError: they cannot be stored.
        """
        if source.split.fold is None:
            values = self._values(source, index.positions, augment, view)
        else:
            parts = _by_shard(source, index.positions)
            # In the shards' order, which is that of the positions.
            found = [self._values(part, some, augment, view) for part, some in parts]
            whole = [values for values in found if values is not None]
            values = np.concatenate(whole) if len(whole) == len(found) else None
        return None if values is None else Features(values, index.labels, index.ids)

    def _values(
        self, source: Source, positions: np.ndarray, augment: Augmenter | None, view: tuple
    ) -> np.ndarray | None:
        """Returns float16[n, channels] of some records of a split; None if it was stopped."""
        store = self._store(source, augment, view)
        missing = positions[~store.intact(positions)]
        if len(missing):
            label = f"features of {source.split.name}" + (f", view {view[-1]}" if view else "")
            with store.held(lambda: self.say(f"{label}: another run computes them; waiting")):
                self._compute(store, source, positions, augment, view, label)
            if not store.intact(positions).all():
                return None
        return store.rows(positions)

    def _compute(
        self,
        store: FeatureStore,
        source: Source,
        positions: np.ndarray,
        augment: Augmenter | None,
        view: tuple,
        label: str,
    ) -> None:
        """Computes the rows of `positions` that are still missing."""
        store.create(self._about(source, augment, view))
        missing = positions[~store.intact(positions)]  # Another run may have just computed them.
        if not len(missing):
            return
        name, run = self.runtimes.quickest(len(missing))
        self.say(f"{label}: {len(missing):,} pictures by {name}, kept in {store.folder}")
        with Progress(
            label, len(positions), " img", kind=self.progress, done=len(positions) - len(missing)
        ) as progress:
            store.write(self._rows(run, pictures(source, missing, augment, view), progress))

    def _rows(
        self, run: Runtime, stream: tf.data.Dataset, progress: Progress
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for places, images in stream:
            if self.stopped():
                return
            yield places.numpy(), run(images.numpy())
            progress.advance(len(places))

    def _store(self, source: Source, augment: Augmenter | None, view: tuple) -> FeatureStore:
        about = self._about(source, augment, view)
        key = hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:32]
        channels = int(self.backbone.output_shape[-1])
        return FeatureStore(self._root(source) / key, source.split.records, channels)

    def _root(self, source: Source) -> Path:
        """Returns the folder of all features: in the data set's where it can be written."""
        if remote.is_far(source.data_dir):
            return self.fallback
        root = Path(str(source.data_dir)) / FOLDER
        try:
            root.mkdir(exist_ok=True)
            (root / ".writable").touch()
        except OSError:
            return self.fallback
        return root

    def _about(self, source: Source, augment: Augmenter | None, view: tuple) -> dict[str, object]:
        """Returns everything that decides a store's contents."""
        return {
            "dataset": self.dataset,
            "split": source.split.name,
            "model": self.model_name,
            "network": self.network,
            "size": list(source.size),
            "augmentation": repr(augment) if augment else "none",
            "view": list(view),
        }


def _by_shard(source: Source, positions: np.ndarray) -> Iterator[tuple[Source, np.ndarray]]:
    """Yields each shard of a split of a fold as a split of its own, and positions within it.

    The folds of a data set share its shards: what is computed of one for a fold serves all.
    """
    nothing = (0,) * len(source.split.originals)
    start = 0
    for shard in source.split.shards:
        some = positions[(positions >= start) & (positions < start + shard.records)]
        if len(some):
            of_shard = dataclasses.replace(
                source.split, name=shard.filename, originals=nothing, copies=nothing,
                shards=(shard,),
            )  # fmt: skip
            yield dataclasses.replace(source, split=of_shard), some - start
        start += shard.records


def index_of(source: Source) -> Index:
    """Returns the selected records of a split; reads all of it, without decoding."""
    selection = source.selection
    stored: dict[str, list[np.ndarray]] = {name: [] for name in _LABELS}
    batches = tf.data.TFRecordDataset(list(source.files)).batch(1024)
    parsed = batches.map(
        lambda examples: tf.io.parse_example(examples, _LABELS),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    for batch in parsed.with_options(stream_options()):
        for name, values in batch.items():
            stored[name].append(values.numpy())
    columns = {name: np.concatenate(parts) for name, parts in stored.items()}
    chosen = source.selects(columns[schema.LABEL], columns[schema.RANK], columns[schema.COPY])
    positions = np.flatnonzero(chosen)
    numbers = {label: number for number, label in enumerate(selection.labels)}
    labels = [numbers[label] for label in columns[schema.LABEL][positions].tolist()]
    ids = tuple(id_.decode("utf-8") for id_ in columns[schema.ID][positions])
    return Index(positions, np.array(labels, np.int32), ids)


def pictures(
    source: Source, wanted: np.ndarray, augment: Augmenter | None, view: tuple
) -> tf.data.Dataset:
    """Returns the pictures at some positions of a split.

    Args:
      source: of the split.
      wanted: int64[n], positions among all of its records.
      augment: applied to them; None for none.
      view: that the random draws are a function of.

    Returns:
      A data set of (int64[k] positions, uint8[k, height, width, 3]), k up to `BLOCK`.
    """
    mask = np.zeros(-(-source.split.records // BLOCK) * BLOCK, bool)
    mask[wanted] = True
    chosen = tf.constant(mask.reshape(-1, BLOCK))
    decode = decoder(source.spec, source.size)
    bits = stable_hash("view", *view)
    key = tf.constant([bits & 0x7FFFFFFF, bits >> 32 & 0x7FFFFFFF], tf.int32)

    def load(block: tf.Tensor, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inside = tf.where(chosen[block][: tf.shape(examples)[0]])[:, 0]
        parsed = tf.io.parse_example(
            tf.gather(examples, inside), {schema.IMAGE: tf.io.FixedLenFeature([], tf.string)}
        )
        spec = tf.TensorSpec((*source.size, 3), tf.uint8)
        images = tf.map_fn(decode, parsed[schema.IMAGE], fn_output_signature=spec)
        if augment is not None:
            images = _augmented(images, inside, augment, key, block)
        return block * BLOCK + inside, images

    blocks = tf.data.TFRecordDataset(list(source.files)).batch(BLOCK).enumerate()
    needed = blocks.filter(lambda block, examples: tf.reduce_any(chosen[block]))
    loaded = needed.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return loaded.with_options(stream_options()).prefetch(tf.data.AUTOTUNE)


def _augmented(
    images: tf.Tensor, inside: tf.Tensor, augment: Augmenter, key: tf.Tensor, block: tf.Tensor
) -> tf.Tensor:
    """Returns pictures augmented at their places in a block, whose other places are black."""
    shape = (BLOCK, *images.shape[1:])
    whole = tf.ensure_shape(tf.scatter_nd(inside[:, None], images, shape), shape)
    seed = tf.random.experimental.stateless_fold_in(key, tf.cast(block, tf.int32))
    changed, _, _ = augment(whole, tf.zeros([BLOCK], tf.int32), seed)
    return tf.gather(changed, inside)
