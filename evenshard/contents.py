"""What a manifest says of a data set, baked or planned, as Python and notebooks show it."""

from __future__ import annotations

import abc

from evenshard import notebook
from tfrecords import inspect
from tfrecords.manifest import Manifest, SplitInfo

# A notebook's cell shows as many classes; the figure shows the others too.
_MOST_ROWS = 50


class Contents(abc.ABC):
    """The classes, splits and counts of a manifest.

    Attributes:
      manifest: of the data set.
    """

    @property
    @abc.abstractmethod
    def manifest(self) -> Manifest:
        """Everything that the data set says of itself."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; a record's label is an index of these."""
        return self.manifest.classes

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, train first."""
        return tuple(split.name for split in self.manifest.splits)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the images; with resize="short_side", of the short side twice."""
        return self.manifest.image.height, self.manifest.image.width

    def counts(self, split: str = "train") -> dict[str, int]:
        """Returns the number of records of each class, copies among them."""
        info = self._split(split)
        numbers = (sum(pair) for pair in zip(info.originals, info.copies, strict=True))
        return dict(zip(self.classes, numbers, strict=True))

    def copies(self, split: str = "train") -> dict[str, int]:
        """Returns the number of augmented copies among the records of each class."""
        return dict(zip(self.classes, self._split(split).copies, strict=True))

    def _split(self, name: str) -> SplitInfo:
        return self.manifest.split(name)

    def _summary(self) -> str:
        splits = ", ".join(f"{split.name} {split.records:,}" for split in self.manifest.splits)
        return (
            f"{len(self.classes):,} classes, {inspect.describe_image(self.manifest.image)}; "
            f"records: {splits}"
        )

    def _tables(self) -> str:
        """Returns the tables of splits and classes and the balance figure, as HTML."""
        from tfrecords.reporting import balance  # matplotlib: half a second.

        splits = self.manifest.splits
        by_split = notebook.table(
            ("split", "originals", "copies", "records", "shards", "MiB"),
            (
                (split.name, sum(split.originals), sum(split.copies), split.records,
                 len(split.shards), split.bytes / 2**20)
                for split in splits
            ),
        )  # fmt: skip
        order = balance.class_order(self.manifest)
        by_class = notebook.table(
            ("class", "label", *self.splits, "copies"),
            (
                (self.classes[label], label, *(split.originals[label] for split in splits),
                 sum(split.copies[label] for split in splits))
                for label in order[:_MOST_ROWS]
            ),
        )  # fmt: skip
        drawn = notebook.figure(
            balance.balance_figure(self.manifest),
            "For each class, the pictures found and the records to train on",
        )
        more = len(order) - _MOST_ROWS
        note = notebook.heading("", f"and {more:,} smaller classes") if more > 0 else ""
        return by_split + drawn + by_class + note
