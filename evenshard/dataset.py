"""`Dataset`: a baked data set, opened from Python."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evenshard import notebook
from evenshard.arguments import PathLike, naming_arguments
from evenshard.contents import Contents
from evenshard.places import Place
from evenshard.selecting import checked, is_selected, meant, select, several
from tfrecords import example, framing, ledger, locations, reader, verify
from tfrecords.cli import flags, parsing, values
from tfrecords.errors import EvenshardError, UsageError
from tfrecords.images import canonicalise
from tfrecords.locations import Folder
from tfrecords.manifest import SOURCES, Manifest
from tfrecords.schema import ImageRecord, record_id
from tfrecords.system import extras
from tfrecords.verify import Verdict, VerifyConfig
from trainer import remote, tensorflow_import
from trainer.data.folds import of_fold
from trainer.data.selection import Source, open_split, source_of
from trainer.data.version import DataVersion

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf
    import torch

    from evenshard.frameworks.torch_data import TorchDataset

ImageSize = int | str | tuple[int, int]


class RecordNotFoundError(EvenshardError, LookupError):
    """A data set has no record of an id."""


class Dataset(Contents):
    """A baked data set: what is in it, its records, and streams of them to train on.

    It is that which was opened: where a bake has replaced it since, reading stops with a
    `ReplacedDataError`, and never gives records of two.

    Args:
      data_dir: that `evenshard.bake` or the command wrote; or gs://BUCKET/DIR.
      fold: of a data set that was baked with folds: train and validation are then its own.
    """

    def __init__(self, data_dir: PathLike, fold: int | None = None) -> None:
        self._place = Place.of("data_dir", data_dir)
        self._fold: int | None = checked("fold", fold)

    @property
    def data_dir(self) -> str:
        """Where the data set is: as given, or absolute once the working directory is another."""
        return self._place.now

    def __fspath__(self) -> str:
        """Returns `data_dir`, so that a data set stands wherever its directory does."""
        return self.data_dir

    @property
    def manifest(self) -> Manifest:
        """Everything that the data set says of itself; read once."""
        return self._manifest

    @property
    def digest(self) -> str:
        """The sha256 that identifies the records, whatever the directory is called."""
        return self.manifest.digest

    @naming_arguments()
    def sources(
        self, columns: str | Sequence[str] | None = None, where: pc.Expression | None = None
    ) -> pa.Table:
        """Returns what became of each input file, in key order.

        >>> import evenshard, pyarrow.compute as pc
        >>> dataset = evenshard.open("shards")
        >>> rejected = pc.field("status") == "rejected"
        >>> dataset.sources(["key", "reason"], where=rejected).to_pylist()
        [{'key': 'bart/broken.jpg', 'reason': 'not_an_image'}]

        Args:
          columns: all by default: key, class, status, reason, detail, sha256, phash, bytes, width,
            height, format, mode, group, split, rank, copies, shard, position.
          where: only rows that satisfy it, an expression of pyarrow.

        Raises:
          UsageError: there is no such column, or `where` is no expression.
          LedgerError: sources.parquet is absent or damaged.
        """
        names = ledger.SCHEMA.names if columns is None else several("columns", columns)
        if where is not None and not isinstance(where, pc.Expression):
            raise UsageError(
                f"where={flags.shown(where)}: an expression of pyarrow is expected, such as "
                'pyarrow.compute.field("status") == "kept"'
            )
        for name in names:
            if name not in ledger.SCHEMA.names:
                raise UsageError(f"columns: no column {name!r}{meant(name, ledger.SCHEMA.names)}")
        with self._version.reading():
            if where is None:
                return ledger.read(self._folder).select(names)
            try:
                ledger.SCHEMA.empty_table().filter(where)
            except pa.ArrowException as error:
                raise UsageError(f"where: {error}") from error
            return ledger.select(self._folder, names, where)

    def records(
        self,
        split: str = "train",
        *,
        classes: str | Collection[str] = (),
        per_class: int | None = None,
        originals_only: bool = False,
    ) -> Iterator[ImageRecord]:
        """Yields records in the order of their shards, every CRC checked.

        A record has `image` (encoded bytes; `pixels` decodes them), `label`, `id`, `rank` and
        `copy` (0 for an original).

        >>> import evenshard
        >>> dataset = evenshard.open("shards")
        >>> record = next(dataset.records("validation"))
        >>> dataset.pixels(record).shape
        (16, 16, 3)

        Args:
          split: name of the split.
          classes: only these, by name; all by default.
          per_class: only records of lower rank: what a bake with that `per_class` holds.
          originals_only: leave out augmented copies.

        Raises:
          ManifestError: no such split.
          UsageError: no such class.
          DamagedRecordError: names the shard and the byte.
          ReplacedDataError: another bake has replaced the data set since it was opened.
        """
        with naming_arguments(), self._version.reading():
            selection = select(self.manifest, classes, per_class, originals_only)
            source = source_of(self.manifest, self._folder, split, selection)
            for path in source.shard_paths:
                with path.open("rb") as file:
                    self._version.check()  # What is open stays what it is.
                    for _, payload in framing.read_frames(file, str(path)):
                        record = example.decode(payload)
                        if is_selected(record, source):
                            yield record

    @naming_arguments()
    def find(self, ids: str | Sequence[str]) -> list[ImageRecord]:
        """Returns the records of some ids, in the order of the ids.

        The originals are looked up in sources.parquet. Copies, whose ids end in #1, #2…, are
        searched in the shards of train.

        >>> import evenshard
        >>> dataset = evenshard.open("shards")
        >>> dataset.find("lisa/0001.jpg")[0].label
        2

        Raises:
          RecordNotFoundError: an id that is in no shard: rejected, capped, or never there.
        """
        wanted = several("ids", ids)
        with self._version.reading():
            return self._find(wanted)

    def pixels(self, record: ImageRecord) -> np.ndarray:
        """Returns the image of a record, uint8[height, width, 3].

        Raises:
          UsageError: it is no record, as `records` and `find` give them.
        """
        if not isinstance(record, ImageRecord):
            raise UsageError(
                f"record is of type {type(record).__name__}: one of `records` or `find` is expected"
            )
        return canonicalise.decode_record(record.image, self.manifest.image)

    @naming_arguments()
    def verify(
        self, *, split: str | None = None, images: str = "sample", workers: int | str = "auto"
    ) -> Verdict:
        """Reads every shard once and checks it; problems are returned, not raised.

        >>> import evenshard
        >>> evenshard.open("shards").verify().sound
        True

        Args:
          split: read this split only.
          images: which to decode: "none", "sample" or "all".
          workers: processes that read shards, or "auto".

        Returns:
          What is wrong, in `problems`; `sound` where nothing is.
        """
        if remote.is_far(self._folder):
            raise UsageError(f"{self.data_dir}: only a data set on this machine can be verified")
        given = {"split": split, "images": images, "workers": workers}
        return verify.run(parsing.build(VerifyConfig, {"data_dir": str(self._folder), **given}))

    @naming_arguments()
    def tf_dataset(
        self,
        split: str = "train",
        *,
        batch_size: int,
        image_size: ImageSize | None = None,
        per_class: int | None = None,
        classes: str | Sequence[str] = (),
        originals_only: bool = False,
        augment: str | Sequence[str] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        epochs: int = 1,
        cache: str = "none",
    ) -> tf.data.Dataset:
        """Returns (images, labels) batches for Keras: uint8[b, height, width, 3] and int32[b].

        The stream is the trainer's: its order and its augmentation are functions of the seed, the
        epoch and the position. Each epoch holds every selected record once; its last batch may be
        smaller. Where another bake replaces the data set, iteration ends in an error that says so;
        what `cache` holds stays as it is. For several epochs give `epochs`: another pass over the
        same stream repeats it.

        >>> import evenshard
        >>> dataset = evenshard.open("shards")
        >>> stream = dataset.tf_dataset("train", batch_size=8, classes=("apu", "lisa"))
        >>> images, labels = next(iter(stream))
        >>> images.shape, labels.dtype.name
        (TensorShape([8, 16, 16, 3]), 'int32')

        Args:
          split: name of the split.
          batch_size: records a batch.
          image_size: N or (height, width), not above the baked one, which is the default.
          per_class: only records of lower rank: what a bake with that `per_class` holds.
          classes: only these, by name; labels are then their index in the data set's order.
          originals_only: leave out augmented copies.
          augment: names as for `evenshard.train`, or "auto", which flips by the trainer's rule:
            not where mirrored pictures of one class look like another (a warning says so).
            Nothing by default. With mixup or cutmix, labels are float32[b, classes], each class's
            share.
          shuffle: a new order each epoch; False gives the order of the shards.
          seed: of order and augmentation.
          epochs: passes over the records.
          cache: "none", or hold the records in memory "encoded" or "decoded".

        Raises:
          UsageError, ManifestError, TrainerError: with one readable line.
        """
        extras.require("trainer")
        tensorflow_import.import_tensorflow(verbose=False)
        from evenshard.frameworks import tensorflow_data

        source = self._open_split(split, image_size, per_class, classes, originals_only)
        options = tensorflow_data.StreamOptions(
            batch_size=batch_size, augment=augment, shuffle=shuffle, seed=seed, epochs=epochs,
            cache=cache,
        )  # fmt: skip
        return tensorflow_data.stream(source, options, self._version)

    @naming_arguments()
    def torch_dataset(
        self,
        split: str = "train",
        *,
        image_size: ImageSize | None = None,
        per_class: int | None = None,
        classes: str | Sequence[str] = (),
        originals_only: bool = False,
        transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        shuffle_buffer: int = 4096,
    ) -> TorchDataset:
        """Returns an iterable PyTorch data set of (uint8[3, height, width], int) samples.

        The workers of a `DataLoader` and the ranks of `torch.distributed` share the records
        between them. Call `set_epoch` before each epoch, as with `DistributedSampler`. Create it
        after `init_process_group`.

            loader = DataLoader(dataset.torch_dataset("train"), batch_size=64, num_workers=4)
            for epoch in range(30):
                loader.dataset.set_epoch(epoch)
                for images, labels in loader: ...

        Args:
          split: name of the split.
          image_size: N or (height, width), not above the baked one, which is the default.
          per_class: only records of lower rank: what a bake with that `per_class` holds.
          classes: only these, by name; labels are then their index in the data set's order.
          originals_only: leave out augmented copies.
          transform: applied to each image, e.g. one of torchvision.transforms.v2.
          shuffle: a new order each epoch; False gives the order of the shards.
          seed: of the order.
          shuffle_buffer: encoded records that each worker shuffles among.

        Raises:
          MissingExtraError: PyTorch is not installed.
          UsageError, ManifestError, TrainerError: with one readable line.
        """
        if remote.is_far(self._folder):
            raise UsageError(
                f"{self.data_dir}: torch_dataset reads a directory of this machine: copy it first"
            )
        extras.require("torch")
        from evenshard.frameworks import torch_data

        source = self._open_split(split, image_size, per_class, classes, originals_only)
        return torch_data.TorchDataset(
            source, self._version, transform, shuffle, seed, shuffle_buffer
        )

    def __repr__(self) -> str:
        return f"<Dataset {self.manifest.name!r} in {self.data_dir}: {self._summary()}>"

    def _repr_html_(self) -> str:
        top = notebook.heading(f"{self.manifest.name} in {self.data_dir}:", self._summary())
        return top + self._tables()

    @functools.cached_property
    def _folder(self) -> Folder:
        if locations.is_url(self.data_dir) and not self.data_dir.startswith("file://"):
            extras.require("trainer")  # TensorFlow reads it.
        return remote.folder(self._place.absolute)

    @functools.cached_property
    def _version(self) -> DataVersion:
        with naming_arguments():
            return DataVersion.of_all(self._folder, remote.load(self._folder))

    @functools.cached_property
    def _manifest(self) -> Manifest:
        with naming_arguments():
            whole = self._version.manifest
            return whole if self._fold is None else of_fold(whole, self._fold, self.data_dir)

    def _open_split(
        self,
        split: str,
        image_size: ImageSize | None,
        per_class: int | None,
        classes: str | Sequence[str],
        originals_only: bool,
    ) -> Source:
        with flags.usage_errors():
            size = values.image_size(image_size)
        selection = select(self.manifest, classes, per_class, originals_only)
        with self._version.reading():
            source = open_split(self.manifest, self._folder, split, selection, size)
        if not source.records:
            raise UsageError(f"split {split!r} has no record of the classes that were asked for")
        return source

    def _find(self, wanted: Sequence[str]) -> list[ImageRecord]:
        """Returns the records of some ids; raises as `find`."""
        rows = self._rows_of(wanted)
        of_split: dict[str, list[str]] = defaultdict(list)
        for id_ in wanted:
            key, copy = _key_of(id_, rows)
            row = rows.get(key, {})
            if row.get("shard") is None or copy > (row["copies"] or 0):
                raise RecordNotFoundError(f"no record {id_!r} in {self.data_dir}{_why(row)}")
            of_split[row["split"]].append(id_)
        found = {
            stored.record.id: stored.record
            for split, some in of_split.items()
            for stored in reader.find(self._folder, self._version.manifest, split, some)
        }
        for id_ in wanted:
            if id_ not in found:
                raise RecordNotFoundError(
                    f"{self.data_dir}: {SOURCES} lists {id_!r}, and no shard holds it: bake again "
                    "with --overwrite"
                )
        return [found[id_] for id_ in wanted]

    def _rows_of(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Returns the rows of sources.parquet that ids may belong to, by key."""
        keys = {key for id_ in ids for key in (id_, id_.rpartition("#")[0]) if key}
        columns = ("key", "status", "reason", "split", "copies", "shard")
        rows = ledger.select(
            self._folder, columns, pc.field("key").isin(pa.array(sorted(keys), pa.string()))
        )
        return {row["key"]: row for row in rows.to_pylist()}


@naming_arguments()
def open(data_dir: PathLike, fold: int | None = None) -> Dataset:
    """Opens a data set that `bake` or the command wrote.

    >>> import evenshard
    >>> dataset = evenshard.open("shards")
    >>> dataset.classes, dataset.splits
    (('apu', 'bart', 'lisa'), ('train', 'validation', 'test'))

    Args:
      data_dir: a directory; or gs://BUCKET/DIR, which TensorFlow reads.
      fold: of a data set that was baked with folds: the one that is its validation split.

    Raises:
      ManifestError: not a complete data set.
      UsageError: it has no such fold.
    """
    dataset = Dataset(data_dir, fold)
    _ = dataset.manifest
    return dataset


def _key_of(id_: str, rows: Mapping[str, object]) -> tuple[str, int]:
    """Returns the key of a record's source, and the number of its copy; 0 for the original."""
    key, _, number = id_.rpartition("#")
    if id_ in rows or not number.isdecimal() or record_id(key, int(number)) != id_:
        return id_, 0
    return key, int(number)


def _why(row: Mapping[str, Any]) -> str:
    """Returns what sources.parquet says of a file that is in no shard."""
    if not row or row["shard"] is not None:
        return ""
    reason = f" ({row['reason']})" if row["reason"] else ""
    return f": its file was {row['status']}{reason}"
