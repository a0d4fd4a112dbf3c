"""One version of a data set: a command that reads it to the end has seen no other, or stops.

A bake with --overwrite replaces a data set in place: it removes the manifest, renames the new
shards to their names and writes the manifest last. A reader opens shards by name again in each
epoch and would go on with the new ones. Readers hold no lock, since buckets have none and a bake
must not wait for a training of days. A reader instead compares the manifest, and the size and
time of each local shard, with those that it began with, before it keeps anything that it made of
what it read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import EvenshardError, TrainerError
from tfrecords.locations import Folder
from tfrecords.manifest import MANIFEST, Manifest, ManifestError
from trainer import remote
from trainer.data.selection import Source


class ReplacedDataError(TrainerError):
    """A data set was replaced while it was read."""


@dataclass(frozen=True)
class DataVersion:
    """What a data set was when a command began to read it.

    Attributes:
      data_dir: where it is.
      manifest: as it was.
      shards: path → (bytes, time of its last change in ns) of the local shards to be read.
      written: the same two of the local manifest.
    """

    data_dir: Folder
    manifest: Manifest
    shards: Mapping[Path, tuple[int, int]]
    written: tuple[int, int] = (-1, -1)

    @classmethod
    def of(cls, data_dir: Folder, manifest: Manifest, *sources: Source) -> DataVersion:
        """Returns the version of a data set that was opened.

        Args:
          data_dir: where it is.
          manifest: that the sources were opened with.
          *sources: to be read.

        Raises:
          ReplacedDataError: it was replaced since the manifest was read.
        """
        paths = (path for source in sources for path in source.shard_paths)
        version = cls._of_shards(data_dir, manifest, paths)
        # The shards may be newer than the manifest: this is noticed here and never later.
        version.check()
        return version

    @classmethod
    def of_all(cls, data_dir: Folder, manifest: Manifest) -> DataVersion:
        """Returns the version of a whole data set; the first `check` is left to its readers."""
        shards = (shard for split in manifest.splits for shard in split.shards if shard.records)
        return cls._of_shards(data_dir, manifest, (data_dir / each.filename for each in shards))

    @classmethod
    def _of_shards(
        cls, data_dir: Folder, manifest: Manifest, paths: Iterable[Folder]
    ) -> DataVersion:
        shards = {path: _stamp(path) for path in set(paths) if isinstance(path, Path)}
        return cls(data_dir, manifest, shards, _stamp(data_dir / MANIFEST))

    def check(self) -> None:
        """Checks that the data set is still the one that it was.

        Raises:
          ReplacedDataError: it is not, or is being replaced.
        """
        what = self._change()
        if what is not None:
            raise ReplacedDataError(
                f"the data set in {self.data_dir} was replaced while it was read: {what}. Results "
                "since then are dropped; bake to another --output_dir, or start again on the "
                "new one"
            )

    def check_quickly(self) -> None:
        """As `check`; a manifest of the same size and time is not read again.

        A data set in a bucket is not looked at: each look is a request.

        Raises:
          ReplacedDataError: as `check`.
        """
        same = _stamp(self.data_dir / MANIFEST) == self.written
        if not same or any(_stamp(path) != stamp for path, stamp in self.shards.items()):
            self.check()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Checks after the block; a reader's error in it is told as the change that caused it.

        Raises:
          ReplacedDataError: as `check`.
        """
        try:
            yield
        except (EvenshardError, OSError):
            self.check()
            raise
        self.check()

    def _change(self) -> str | None:
        """Returns what is no longer as it was, if anything."""
        try:
            there = remote.load(self.data_dir)
        except ManifestError as error:
            return str(error)
        if there != self.manifest:
            return f"it was {self.manifest.digest[:12]}…, is now {there.digest[:12]}…"
        for path, stamp in self.shards.items():
            if _stamp(path) != stamp:
                return f"{path.name} was replaced by another file"
        return None


def _stamp(path: Folder) -> tuple[int, int]:
    """Returns (bytes, time of its last change in ns) of a file; (-1, -1) if gone or far."""
    if not isinstance(path, Path):
        return -1, -1
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
