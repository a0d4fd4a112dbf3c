"""The numbers of a bake's report: pure functions of the manifest and the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrecords import ledger
from tfrecords.images.rejects import RejectReason
from tfrecords.manifest import Manifest
from tfrecords.schema import TRAIN

# With more copies of each original than this, copies add little: they differ in crop and colour
# alone.
MANY_COPIES = 20

# Classes and sources of each that a plan shows: 160 pictures are opened for it, of at most 8 kB.
PLANNED_CLASSES = 40
PLANNED_TILES = 4

_MEANINGS = {
    RejectReason.EMPTY: "the file has no bytes",
    RejectReason.NOT_AN_IMAGE: "its first bytes belong to no picture format",
    RejectReason.UNSUPPORTED_FORMAT: "a picture, in a format or with samples that cannot be read",
    RejectReason.TRUNCATED: "the file ends before the picture is complete",
    RejectReason.CORRUPT: "the decoder found invalid bytes",
    RejectReason.TOO_SMALL: "fewer pixels than --min_source_pixels",
    RejectReason.TOO_LARGE: "more pixels than --max_source_pixels",
    RejectReason.BOMB: "so many pixels that decoding it could exhaust the memory",
    RejectReason.UNREADABLE: "the file could not be opened or read",
    RejectReason.NAME_NOT_UTF8: "its name is not valid UTF-8",
    RejectReason.NO_CLASS: "it is in no class folder",
    RejectReason.HIDDEN: "a hidden file, as operating systems leave next to pictures",
    RejectReason.LABEL_CONFLICT: "an equal file has another class, and --label_conflicts=drop_all",
    RejectReason.DECODER_MISSING: "a format of an extra of evenshard, which sources.parquet names",
    RejectReason.SIDECAR: "a description or similar file next to pictures, by its name",
    RejectReason.EXCLUDED: "left out by --include or --exclude",
    RejectReason.UNLABELLED: "its folder has no classes; it is left for predict",
    RejectReason.DROPPED_CLASS: "its class is dropped by --classes_map",
    RejectReason.OWN_OUTPUT: "part of a data set or a run that evenshard wrote",
    RejectReason.DECODER_CRASHED: "it crashed the decoder's process",
    RejectReason.DECODER_HUNG: "reading or decoding it did not finish in time",
    RejectReason.MISSING: "the table names it, and there is no such file",
    RejectReason.NOT_A_FILE: "a folder, a pipe, a socket or a device",
    RejectReason.TOO_MANY_BYTES: "more bytes than --max_file_mb",
    RejectReason.CHANGED: "the file changed while the bake ran",
}


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What happened to the files of one class.

    Attributes:
      label: its index.
      name: of the class.
      files: number of files found.
      originals: kept, in each split.
      copies: augmented copies in train.
      capped, duplicates, rejected: files that are in no shard.
    """

    label: int
    name: str
    files: int
    originals: tuple[int, ...]
    copies: int
    capped: int
    duplicates: int
    rejected: int

    @property
    def train(self) -> int:
        """Number of train records."""
        return self.originals[0] + self.copies

    @property
    def copies_each(self) -> float:
        """Copies for each train original."""
        return self.copies / self.originals[0] if self.originals[0] else 0.0


@dataclass(frozen=True, slots=True)
class FormatRow:
    """Files of one format and mode."""

    format: str
    mode: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """Files rejected for one reason."""

    reason: str
    meaning: str
    files: int


@dataclass(frozen=True, slots=True)
class EqualSet:
    """Files with equal bytes.

    Attributes:
      keys: in key order.
      classes: of each.
      statuses: of each.
    """

    keys: tuple[str, ...]
    classes: tuple[str, ...]
    statuses: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The key whose picture represents all: one that is in a shard, if any."""
        kept = (k for k, s in zip(self.keys, self.statuses, strict=True) if s == ledger.KEPT)
        return next(kept, self.keys[0])

    @property
    def conflict(self) -> bool:
        """Whether the same picture is in different classes."""
        return len(set(self.classes)) > 1


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that stay in one split together.

    Attributes:
      keys: in key order.
      classes: of each.
      split: where they are.
    """

    keys: tuple[str, ...]
    classes: tuple[str, ...]
    split: str

    @property
    def conflict(self) -> bool:
        """Whether similar pictures are in different classes."""
        return len(set(self.classes)) > 1


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """All groups of two pictures or more.

    Attributes:
      groups: number of groups.
      pictures: number of pictures in them.
      largest: number of pictures in the largest.
      across_classes: number of groups that span classes.
      shown: those to show: groups that span classes first, then the largest.
    """

    groups: int
    pictures: int
    largest: int
    across_classes: int
    shown: tuple[Group, ...]


def class_rows(dataset: Manifest, sources: pa.Table) -> list[ClassRow]:
    """Returns a row for each class, in label order."""
    counts = _status_counts(sources)
    train = next(split for split in dataset.splits if split.name == TRAIN)
    return [
        ClassRow(
            label=label,
            name=name,
            files=sum(counts[name].values()),
            originals=tuple(split.originals[label] for split in dataset.splits),
            copies=train.copies[label],
            capped=counts[name][ledger.CAPPED],
            duplicates=counts[name][ledger.DUPLICATE],
            rejected=counts[name][ledger.REJECTED] + counts[name][ledger.CHANGED],
        )
        for label, name in enumerate(dataset.classes)
    ]


def _status_counts(sources: pa.Table) -> dict[str | None, Counter[str]]:
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    grouped = sources.group_by(["class", "status"]).aggregate([("key", "count")])
    for row in grouped.to_pylist():
        counts[row["class"]][row["status"]] += row["key_count"]
    return counts


def format_rows(sources: pa.Table) -> list[FormatRow]:
    """Returns the formats and modes of the files whose header was read, most frequent first."""
    known = sources.filter(pc.field("format").is_valid())
    grouped = known.group_by(["format", "mode"]).aggregate([("key", "count"), ("bytes", "sum")])
    rows = [
        FormatRow(row["format"], row["mode"] or "?", row["key_count"], row["bytes_sum"] or 0)
        for row in grouped.to_pylist()
    ]
    return sorted(rows, key=lambda row: (-row.files, row.format, row.mode))


def planned_samples(planned: Manifest, sources: pa.Table) -> dict[int, list[str]]:
    """Returns label → keys of its first train pictures, of the largest classes and the smallest.

    Args:
      planned: the planned manifest.
      sources: the planned ledger.
    """
    labels = sorted(
        (label for label in range(len(planned.classes)) if planned.split(TRAIN).originals[label]),
        key=lambda label: (-planned.split(TRAIN).originals[label], label),
    )
    half = PLANNED_CLASSES // 2
    if len(labels) > PLANNED_CLASSES:
        labels = [*labels[:half], *labels[-half:]]
    first = sources.filter((pc.field("split") == TRAIN) & (pc.field("rank") < PLANNED_TILES))
    of_class: dict[str, list[str]] = defaultdict(list)
    for row in first.sort_by([("class", "ascending"), ("rank", "ascending")]).to_pylist():
        of_class[row["class"]].append(row["key"])
    return {label: of_class[planned.classes[label]] for label in labels}


def rejects(sources: pa.Table) -> pa.Table:
    """Returns the rows of files that were not used because something is wrong with them."""
    return sources.filter(pc.field("status").isin([ledger.REJECTED, ledger.CHANGED]))


def ignored(sources: pa.Table) -> pa.Table:
    """Returns the rows of files that were left out on purpose."""
    return sources.filter(pc.field("status") == ledger.IGNORED)


def reason_rows(rejected: pa.Table) -> list[ReasonRow]:
    """Returns the reasons of `rejects` or of `ignored`, most frequent first."""
    counts = Counter(rejected["reason"].to_pylist())
    return [
        ReasonRow(reason or "unknown", _meaning(reason), count)
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    ]


def _meaning(reason: str | None) -> str:
    try:
        return _MEANINGS[RejectReason(reason)]
    except (KeyError, ValueError):
        # "changed" is a status as well as a reason.
        return "the file changed while the bake ran" if reason == ledger.CHANGED else ""


def equal_sets(sources: pa.Table) -> list[EqualSet]:
    """Returns the sets of files with equal bytes: conflicts first, then the largest."""
    hashed = sources.filter(pc.field("sha256").is_valid() & pc.field("width").is_valid())
    totals = hashed.group_by("sha256").aggregate([("key", "count")])
    repeated = totals.filter(pc.field("key_count") > 1)["sha256"]
    members: dict[str, list[dict[str, str]]] = defaultdict(list)
    columns = ["sha256", "key", "class", "status"]
    rows = hashed.select(columns).filter(pc.is_in(hashed["sha256"], repeated.combine_chunks()))
    for row in rows.to_pylist():
        members[row["sha256"]].append(row)
    sets = [
        EqualSet(
            tuple(row["key"] for row in rows_),
            tuple(row["class"] or "" for row in rows_),
            tuple(row["status"] for row in rows_),
        )
        for rows_ in members.values()
    ]
    return sorted(sets, key=lambda equal: (not equal.conflict, -len(equal.keys), equal.keys))


def groups(sources: pa.Table, limit: int) -> GroupSummary:
    """Returns a summary of the groups, at most `limit` of them with all their pictures."""
    # A dropped duplicate has no split; it is shown with the equal files.
    grouped = sources.filter(pc.field("group").is_valid() & pc.field("split").is_valid())
    totals = grouped.group_by("group").aggregate([("key", "count"), ("class", "count_distinct")])
    several = totals.filter(pc.field("key_count") > 1)
    sizes = several["key_count"].to_numpy()
    across = several["class_count_distinct"].to_numpy() > 1
    # Groups that span classes first, then the largest; ties go by the group's number.
    order = np.lexsort((several["group"].to_numpy(), -sizes, ~across))[:limit]
    numbers = several["group"].to_numpy()[order]
    return GroupSummary(
        groups=len(sizes),
        pictures=int(sizes.sum()),
        largest=int(sizes.max(initial=0)),
        across_classes=int(across.sum()),
        shown=_members(grouped, numbers.tolist()),
    )


def _members(grouped: pa.Table, numbers: Sequence[int]) -> tuple[Group, ...]:
    rows = grouped.select(["group", "key", "class", "split"]).filter(
        pc.field("group").isin(pa.array(numbers, pa.int64()))
    )
    members: dict[int, list[dict[str, str]]] = {number: [] for number in numbers}
    for row in rows.to_pylist():
        members[row["group"]].append(row)
    return tuple(
        Group(
            tuple(row["key"] for row in rows_),
            tuple(row["class"] or "" for row in rows_),
            rows_[0]["split"],
        )
        for rows_ in members.values()
    )


def warnings_of(dataset: Manifest, rows: Sequence[ClassRow]) -> list[str]:
    """Returns what a reader must know before training, most important first."""
    result = []
    if empty := [row.name for row in rows if not row.originals[0]]:
        result.append(f"No picture to train on: {_names(empty)}.")
    for index, split in enumerate(dataset.splits):
        lacking = [row.name for row in rows if row.originals[0] and not row.originals[index]]
        if index and lacking:
            result.append(
                f"No {split.name} picture, so how well they are recognised cannot be measured: "
                f"{_names(lacking)}."
            )
    if many := [row.name for row in rows if row.copies_each > MANY_COPIES]:
        result.append(
            f"More than {MANY_COPIES} copies of each original, which cannot replace real pictures: "
            f"{_names(many)}."
        )
    return result


def _names(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(names[:limit])
    if len(names) == 1:
        return shown
    more = " and others" if len(names) > limit else ""
    return f"{shown}{more} ({len(names)} classes)"
